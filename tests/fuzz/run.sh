#!/bin/sh
# Fuzzes each target, or those named, for SECONDS; as many beside each other as JOBS says, else two:
#
#   sh tests/fuzz/run.sh SECONDS [TARGET…]
#
# What was learned stays in build-fuzz/corpus. What was found is an input in build-fuzz/found: give it
# to the target's program, mend the fault, and put it into tests/fuzz/corpus/TARGET.
set -u
cd "$(dirname "$0")/../.." || exit

fuzz() { # SECONDS TARGET
	set -- "$1" "$2" "build-fuzz/corpus/$2" "tests/fuzz/corpus/$2" "build-fuzz/logs/$2"
	mkdir -p "$3"
	[ ! -f "tests/fuzz/dictionaries/$2" ] || set -- "$@" "-dict=tests/fuzz/dictionaries/$2"
	log=$5
	if nice "build-fuzz/bin/fuzz_$2" "$3" "$4" ${6:+"$6"} -max_total_time="$1" -timeout=10 \
		-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="build-fuzz/found/$2-" >"$log" 2>&1; then
		echo "$2: nothing found in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
	else
		echo "$2: FOUND SOMETHING: see $log"
		grep -aE 'ERROR: |runtime error|Test unit written' "$log"
		return 1
	fi
}

if [ "$1" = --one ]; then
	fuzz "$2" "$3"
	exit
fi
seconds=${1:?SECONDS}
shift
cmake -G Ninja --preset fuzz >/dev/null && cmake --build --preset fuzz | tail -n 1 || exit
mkdir -p build-fuzz/found build-fuzz/logs
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(printf '%s\n' tests/fuzz/fuzz_*.c | sed 's/.*fuzz_\(.*\)\.c/\1/')
printf '%s\n' "$@" | xargs -P "${JOBS:-2}" -I TARGET sh tests/fuzz/run.sh --one "$seconds" TARGET
