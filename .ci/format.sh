#!/bin/sh
# Formats every source, or with --check says what is not formatted. One formatter per language.
set -eu
cd "$(dirname "$0")/.."
files=$(git ls-files --cached --others --exclude-standard '*.c' '*.h')
if [ "${1:-}" = --check ]; then
	# shellcheck disable=SC2086
	clang-format --dry-run --Werror $files
else
	# shellcheck disable=SC2086
	clang-format -i $files
fi
