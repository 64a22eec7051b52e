#!/bin/sh
# Prints what each language adds to C, with the runners that `sh tests/run.sh conformance` left behind.
set -u
cd "$(dirname "$0")/../.." || exit
root=$(pwd)
# shellcheck source=tests/languages.sh
. tests/languages.sh
MPSYNC_RUNNERS=$(runners) exec python3 tests/bench/languages.py
