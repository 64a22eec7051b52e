#!/bin/sh
# Reads include/mpsync.h anew with bindgen 0.72.1, or with --check says whether the committed output is that.
set -eu
cd "$(dirname "$0")"
committed=metaparticle-sync-sys/src/bindings.rs
output=$committed
[ "${1:-}" != --check ] || output=$(mktemp)
bindgen ../../include/mpsync.h --allowlist-item '[mM][pP][sS][yY][nN][cC].*' --no-layout-tests --no-doc-comments \
	--no-prepend-enum-name --rust-target 1.80 --rust-edition 2021 -o "$output" >/dev/null
[ "$output" = $committed ] || diff "$committed" "$output"
