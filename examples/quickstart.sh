#!/bin/sh
# The first minute: installs what is missing, builds, and lets real processes take turns.
set -eu
cd "$(dirname "$0")/.."

packages="build-essential cmake ninja-build pkg-config libevent-dev libcurl4-openssl-dev libcjson-dev libyaml-dev
libssl-dev libsqlite3-dev libprotobuf-c-dev protobuf-c-compiler"
if ! command -v cmake >/dev/null || ! command -v ninja >/dev/null ||
	! pkg-config --exists libevent_openssl libcurl libcjson yaml-0.1 openssl sqlite3 libprotobuf-c || ! command -v protoc-c >/dev/null; then
	[ "$(id -u)" = 0 ] || { echo "missing packages; as root: apt-get install $packages"; exit 1; }
	echo "installing what is missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >/dev/null
	# shellcheck disable=SC2086
	apt-get install -qy --no-install-recommends $packages >/dev/null
fi
if [ ! -x build/bin/mpsync ]; then
	echo "building"
	cmake -G Ninja --preset release -DBUILD_TESTING=OFF >/dev/null
	cmake --build build >/dev/null
fi
PATH="$(pwd)/build/bin:$PATH"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export MPSYNC_URL="${MPSYNC_URL:-file:$folder/locks.db}"
export MPSYNC_QUICKSTART="$folder"
stamp() { while read -r line; do echo "$(date +%H:%M:%S.%3N)  $line"; done; }

echo
echo "Locks live in $MPSYNC_URL"
echo
echo "1. Five workers, one lock: each reads a number, works, writes it back."
echo 0 >"$folder/number"
for worker in 1 2 3 4 5; do
	mpsync lock orders/42 --identity "worker-$worker" --quiet -- sh -c '
		n=$(cat "$MPSYNC_QUICKSTART/number")
		sleep 0.2
		echo $((n + 1)) >"$MPSYNC_QUICKSTART/number"
		echo "$MPSYNC_HOLDER did its turn with token $MPSYNC_TOKEN: $n -> $((n + 1))"' &
done | stamp
number=$(cat "$folder/number")
echo "The number is $number; without the lock it would be 1."
[ "$number" = 5 ]

echo
echo "2. Three candidates, one leader; the leader is killed with SIGKILL."
for candidate in 1 2 3; do
	mpsync elect leader --identity "candidate-$candidate" --quiet -- sh -c '
		echo "$MPSYNC_HOLDER leads with token $MPSYNC_TOKEN"
		exec sleep 1000' &
	echo $! >>"$folder/candidates"
done >"$folder/led" 2>/dev/null
led() { while [ "$(wc -l <"$folder/led")" -lt "$1" ]; do sleep 0.01; done; tail -n 1 "$folder/led"; }
led 1 | stamp
first=$(sed -n 's/candidate-\([0-9]\).*/\1/p' "$folder/led")
kill -9 "$(sed -n "${first}p" "$folder/candidates")"
echo "candidate-$first was killed" | stamp
led 2 | stamp
echo
mpsync ls
# shellcheck disable=SC2046
kill $(cat "$folder/candidates") 2>/dev/null || true
wait
echo
echo "That was all. Next: README.md, and: mpsync lock NAME -- COMMAND"
