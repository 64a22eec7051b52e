# Completion of mpsync's commands, options and held names.
_mpsync() {
	local word=${COMP_WORDS[COMP_CWORD]}
	local commands="lock elect ls watch status release doctor elector version help"
	local options="--url --ttl --wait --wait-all --kill-all --grace --identity --value --once --name-prefix --json --watch
		--quiet --force --now --log"

	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$word")
	elif [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
	elif [[ ${COMP_WORDS[1]} =~ ^(lock|elect|watch|status|release)$ ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(mpsync ls 2>/dev/null | tail -n +2 | cut -f 1)" -- "$word")
	fi
}
complete -o default -F _mpsync mpsync
