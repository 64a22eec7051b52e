# Completion of mpsync's commands, options, values and held names, and of the command that is to be run.
_mpsync_options() { # COMMAND: those that its help shows
	mpsync help "$1" 2>/dev/null | grep -o -- '^  \(-., \)\?--[a-z-]*' | sed 's/.*--/--/'
}

# The URL of this command line counts, before the environment's.
_mpsync_names() {
	local i
	local url=()

	for ((i = 2; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == --url ]] && url=(--url "${COMP_LINE#*--url }") && url[1]=${url[1]%% *}
	done
	timeout 2 mpsync ls "${url[@]}" 2>/dev/null | tail -n +2 | cut -d ' ' -f 1
}

# Bash takes what stands before a colon for a word of its own.
_mpsync_cut_colons() { # WORD
	local i
	local before=${1%"${1##*:}"}

	[[ $1 == *:* && $COMP_WORDBREAKS == *:* ]] || return 0
	for ((i = 0; i < ${#COMPREPLY[@]}; i++)); do
		COMPREPLY[i]=${COMPREPLY[i]#"$before"}
	done
}

_mpsync_reply() { # WORD CANDIDATE…
	local word=$1

	shift
	mapfile -t COMPREPLY < <(compgen -W "$*" -- "$word")
}

# What stands behind -- is a command line of its own.
_mpsync_command() { # its index among the words
	if [ "$COMP_CWORD" = "$1" ]; then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}" | sort -u)
	elif declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	fi
}

_mpsync() {
	local i
	local word=${COMP_WORDS[COMP_CWORD]}
	local before=${COMP_WORDS[COMP_CWORD - 1]}
	local line=${COMP_LINE:0:COMP_POINT}
	local last=${line##* }
	local stores="file: kubernetes: etcd:// etcds:// http://localhost:13131 http+unix:///"

	for ((i = 2; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -- ]] && _mpsync_command $((i + 1)) && return
	done
	if [ "$COMP_CWORD" = 1 ]; then
		_mpsync_reply "$word" lock elect ls watch status release doctor version elector help -h -V
	elif [[ $line =~ (--url|--store)[[:space:]=]+[^[:space:]]*$ ]]; then
		_mpsync_reply "$last" "$stores"
		_mpsync_cut_colons "$last"
	elif [[ $before == --log ]]; then
		_mpsync_reply "$word" error warn info debug
	elif [[ $word == -* ]]; then
		_mpsync_reply "$word" "$(_mpsync_options "${COMP_WORDS[1]}")"
	elif [[ ${COMP_WORDS[1]} == help ]]; then
		_mpsync_reply "$word" lock elect ls watch status release doctor version elector
	elif [[ ${COMP_WORDS[1]} =~ ^(lock|elect|watch|status|release)$ ]]; then
		_mpsync_reply "$word" "$(_mpsync_names)"
	fi
}
complete -o default -F _mpsync mpsync
