#!/bin/sh
# Formats every source, or with --check says what is not formatted: sh .ci/format.sh [--check] [LANGUAGE…]
# One formatter per language; without a language, all of them. The tiers install what each needs.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)
check=
if [ "${1:-}" = --check ]; then
	check=yes
	shift
fi

sources() { git ls-files --cached --others --exclude-standard "$@"; }

format_c() {
	if [ "$check" ]; then
		sources '*.c' '*.h' '*.cc' | xargs clang-format --dry-run --Werror
	else
		sources '*.c' '*.h' '*.cc' | xargs clang-format -i
	fi
}
format_go() {
	if [ "$check" ]; then
		unformatted=$(gofmt -l bindings/go tests/conformance/go tests/compatibility/go examples/go tests/kubernetes/go tests/etcd)
		[ -z "$unformatted" ] || { echo "not formatted: $unformatted"; return 1; }
	else
		gofmt -w bindings/go tests/conformance/go tests/compatibility/go examples/go tests/kubernetes/go tests/etcd
	fi
}
format_rust() { (cd bindings/rust && cargo fmt ${check:+--check}); }
format_python() {
	"$root/build/venv/bin/ruff" format --quiet ${check:+--check} --config bindings/python/pyproject.toml \
		bindings/python examples/python
}
format_node() {
	(cd bindings/node && npx prettier --config .prettierrc.json --log-level warn "$([ "$check" ] && echo --check || echo --write)" . ../../examples/node \
		../../tests/conformance/runner.mjs)
}
format_java() { mvn -q -B -f bindings/java/frameworks "spotless:$([ "$check" ] && echo check || echo apply)"; }

[ $# -gt 0 ] || set -- c go rust python node java
for language; do
	"format_$language"
done
