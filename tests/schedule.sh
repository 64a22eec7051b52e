# shellcheck shell=sh disable=SC2034,SC2154 # sourced by run.sh, which sets all, passed and failed
# In which order tiers run: those that are named one after another, all of them side by side.

# How many processors each computes on ("wait" for those that mostly wait), and what it needs before it.
# Computing ones share the processors, at a lower priority; beside them run as many waiting ones as there
# are processors, and one more. Each stands below what it needs, and the longest come first. Those that
# are no tiers (those of "shared") only make what tiers share; they are not counted.
table="
programs       2     build
tools          1     build
build_coverage 2     build
build_asan     2     build
build_tsan     2     build
python         wait  tools
coverage       wait  build_coverage programs
kubernetes     wait  build programs
asan           wait  build_asan programs
valgrind       wait  build
rust           1     tools
edge_mutants   wait  build_asan programs
tsan           wait  build_tsan
integration    wait  build
etcd           wait  build
edges          wait  build
java           1     tools
node           1     tools
dotnet         1     tools
go             1     build
conformance    wait  python node java dotnet rust go programs
nemesis        wait  python programs
binding_mutants wait python node java dotnet rust go
docs           1     tools
simulation     1     build
lint           2     build tools
mutants        2     build
clang          2     build
openapi        wait  build
unit           wait  build
fuzz           2     build
exports        1     build
abi            1     build
consumers      2     build
"

# Everything else needs these, and they need the machine.
foundations="setup build"

shared="tools programs build_asan build_tsan build_coverage"
tier_tools() { language_tools; }
tier_build_asan() { configure_and_build asan; }
tier_build_tsan() { configure_and_build tsan; }
tier_build_coverage() { configure_and_build coverage; }

# A tier that hangs is ended, so that what it said so far is seen.
longest_s=2700

end_what_runs() {
	for tier in $running; do
		kill "$(cat "$logs/$tier.pid")" 2>/dev/null
	done
	# shellcheck disable=SC2086
	[ -z "$busy" ] || kill $busy
}

keep_busy() { # COUNT
	for _ in $(seq "$1"); do
		nice -n 19 sh -c 'while :; do :; done' &
		busy="$busy $!"
	done
}

look_at_clocks() { # sets now_s, and processor_s: of this shell's children so far
	now_s=$(date +%s)
	times >"$clock"
	processor_s=$(awk -F '[ms ]+' 'NR == 2 {printf "%d", $1 * 60 + $2 + $3 * 60 + $4}' "$clock")
}

run_tier() { # TIER: prints what it says, and what it took
	look_at_clocks
	began_s=$now_s
	before_s=$processor_s
	echo "== $1"
	if ! command -v "tier_$1" >/dev/null; then
		echo "there is no tier \"$1\"; there are: $all"
		return 1
	fi
	"tier_$1"
	code=$?
	[ "$code" = 0 ] && outcome="passed in" || outcome="FAILED after"
	look_at_clocks
	echo "== $1 $outcome $((now_s - began_s)) s, $((processor_s - before_s)) s of processor time"
	return "$code"
}

is_among() { # WORD WORDS…
	wanted=$1
	shift
	for word; do [ "$word" = "$wanted" ] && return; done
	return 1
}

count() { # TIER CODE
	if [ "$2" != 0 ]; then
		failed=$((failed + 1))
	elif is_among "$1" $all; then
		passed=$((passed + 1))
	fi
}

one_after_another() { # TIER…
	for tier; do
		run_tier "$tier"
		code=$?
		count "$tier" "$code"
		# shellcheck disable=SC2086
		[ "$code" = 0 ] || ! is_among "$tier" $foundations || break
	done
}

row_of() { # TIER: its line of the table
	echo "$table" | grep "^$1 "
}

share_of() { # TIER: of the processors, or "wait"
	row_of "$1" | awk '{print $2}'
}

take() { # TIER: a place, if one is left
	share=$(share_of "$1")
	if [ "$share" = wait ]; then
		[ "$places" -gt 0 ] && places=$((places - 1))
	elif [ -z "$next" ] && { [ "$share" -le "$processors" ] || [ "$processors" = "$(nproc)" ]; }; then
		processors=$((processors - share))
	else
		# Nobody overtakes it, else it would have its turn at the very end.
		next=${next:-$1}
		return 1
	fi
}

give_back() { # TIER
	share=$(share_of "$1")
	if [ "$share" = wait ]; then
		places=$((places + 1))
	else
		processors=$((processors + share))
	fi
}

# Interrupts are as in a terminal: a background job of a shell would ignore them.
start_tier() { # TIER
	echo "-- $1 begins"
	[ "$(share_of "$1")" = wait ] && priority=0 || priority=10
	(
		MPSYNC_ONE_OF_MANY=yes nice -n "$priority" timeout --kill-after 10 "$longest_s" \
			env --default-signal=INT,QUIT sh tests/run.sh "$1" >"$logs/$1" 2>&1 </dev/null &
		echo $! >"$logs/$1.pid"
		wait $!
		echo "$1 $?" >"$logs/ended"
	) &
	running="$running $1"
}

# Whether all that it needs has passed (0), is still to come (1), or one of it has failed (2, and which).
is_ready() { # TIER
	# shellcheck disable=SC2046
	for needed in $(row_of "$1" | awk '{for (i = 3; i <= NF; i++) print $i}'); do
		! is_among "$needed" $broken || return 2
		is_among "$needed" $good || return 1
	done
}

start_what_can_run() {
	later=
	next=
	for tier in $waiting; do
		is_ready "$tier"
		case $? in
		0)
			if take "$tier"; then
				start_tier "$tier"
			else
				later="$later $tier"
			fi
			;;
		1) later="$later $tier" ;;
		2)
			echo "== $tier FAILED: \"$needed\", which it needs, failed"
			broken="$broken $tier"
			count "$tier" 1
			;;
		esac
	done
	waiting=$later
}

end_tier() { # TIER CODE
	if [ "$2" = 0 ]; then
		good="$good $1"
	else
		broken="$broken $1"
	fi
	tail -n 200 "$logs/$1"
	[ "$2" != 124 ] || echo "== $1 FAILED: not done after $longest_s s"
	count "$1" "$2"
	still=
	for tier in $running; do
		[ "$tier" = "$1" ] || still="$still $tier"
	done
	running=$still
	give_back "$1"
}

side_by_side() {
	# shellcheck disable=SC2086
	one_after_another $foundations
	[ "$failed" = 0 ] || return
	for tier in $all; do
		is_among "$tier" $foundations || [ "$(row_of "$tier")" ] || { echo "\"$tier\" is not in the table"; count "$tier" 1; }
	done
	# What is not counted may fail and nobody notices.
	for tier in $(echo "$table" | awk 'NF {print $1}'); do
		is_among "$tier" $all $shared || { echo "\"$tier\" is no tier, and nothing that tiers share"; failed=$((failed + 1)); }
	done
	logs="$root/build/logs"
	rm -rf "$logs"
	mkdir -p "$logs" && mkfifo "$logs/ended" && exec 3<>"$logs/ended" || return
	processors=$(nproc)
	places=$((processors + 1))
	good=$foundations
	broken=
	running=
	waiting=$(echo "$table" | awk 'NF {print $1}')
	while
		start_what_can_run
		[ -n "${running# }" ]
	do
		read -r ended code <&3
		end_tier "$ended" "$code"
	done
}
