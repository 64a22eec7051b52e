#!/bin/sh
# Compares the library's binary interface with the last release's: what was there has to stay.
set -eu
cd "$(dirname "$0")/.."
release=$(git tag --list 'v*' --sort=-version:refname | head -n 1)
if [ -z "$release" ]; then
	echo "no release yet: there is no interface to keep"
	exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
git archive "$release" | tar -x -C "$folder"
cmake -G Ninja -S "$folder" -B "$folder/build" -DBUILD_TESTING=OFF >/dev/null
cmake --build "$folder/build" --target mpsync >/dev/null
abidiff --no-added-syms --headers-dir1 "$folder/include" --headers-dir2 include \
	"$folder/build/lib/libmpsync.so" build/lib/libmpsync.so
