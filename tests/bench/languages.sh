#!/bin/sh
# Prints what each language adds to C, with the runners that `sh tests/run.sh conformance` left behind.
set -u
cd "$(dirname "$0")/../.." || exit
root=$(pwd)
# shellcheck source=tests/languages.sh
. tests/languages.sh
(rust_environment && cd bindings/rust && cargo build -q --release --example runner) || exit
MPSYNC_RUNNERS=$(runners | sed 's,build/rust/debug,build/rust/release,') exec python3 tests/bench/languages.py
