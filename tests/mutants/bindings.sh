#!/bin/sh
# What a language's tier has built, built again after a change to the binding's sources, and one of its tests run.
# Nothing here needs a network. bindings.sh build LANGUAGE | bindings.sh test LANGUAGE [NAME]
#
# A name is: python MODULE.Class.test, node TITLE, java [MODULE/]Class#method, dotnet Method, rust TARGET::test (TARGET: a
# file of tests/, or lib), go [MODULE/]Test. Without a name: all of them.
set -eu
cd "$(dirname "$0")/../.."
root=$(pwd)
. tests/languages.sh

build_python() { cp -r bindings/python/src/metaparticle_sync/. "$tools"/lib/python3*/site-packages/metaparticle_sync/; }
test_python() { cd bindings/python/tests && "$tools/bin/python" -m unittest --failfast "$@"; }

build_node() { cmake --build bindings/node/build; }
test_node() {
	cd bindings/node
	node --test --test-reporter=tap --expose-gc --test-name-pattern="^$(printf %s "${1:-}" | sed 's/[][\.*^$(){}?+|/]/\\&/g')" \
		test/ | at_least_one '^# pass [1-9]'
}

# A framework's module is built and tested over the package itself, of which no test is meant then.
in_module() { # PHASE MODULE/Class#method
	mvn -o -q -B -f bindings/java/frameworks -pl "${2%%/*}" -am "$1" "-Dtest=${2#*/}" \
		-Dsurefire.failIfNoSpecifiedTests=false
}
build_java() {
	case ${1:-} in
	*/*) in_module test-compile "$1" ;;
	*) mvn -o -q -B -f bindings/java test-compile ;;
	esac
}
test_java() {
	case ${1:-} in
	*/*) in_module test "$1" ;;
	*) mvn -o -q -B -f bindings/java surefire:test ${1:+"-Dtest=$1"} ;;
	esac
}

build_dotnet() { dotnet_tests; }
test_dotnet() { mono build/dotnet/tests.exe "$@"; }

# The target's tests, and of these the named one.
rust_test() { # NAME [WORD…]
	name=$1
	shift
	case $name in
	'') set -- --tests "$@" ;;
	lib::*) set -- --lib "$@" -- --exact "${name#lib::}" ;;
	*) set -- --test "${name%%::*}" "$@" -- --exact "${name#*::}" ;;
	esac
	rust_environment
	cd bindings/rust && cargo test --offline -q -p metaparticle-sync "$@"
}
build_rust() { rust_test "${1:-}" --no-run; }
test_rust() { rust_test "${1:-}" | at_least_one '^test result: ok. [1-9]'; }

# With flags by which its tier has compiled what resourcelock is for.
go_here() { # [NAME]
	installed
	export GOTOOLCHAIN=local GOFLAGS=-mod=mod GOPROXY=off
	go=${MPSYNC_GO:-go}
	case ${1:-} in
	resourcelock/*) cd bindings/go/resourcelock && GOFLAGS='-mod=mod -trimpath -tags=netgo,osusergo' ;;
	*) cd bindings/go ;;
	esac
}
build_go() { go_here "$@" && "$go" test -vet=off '-run=^$' ./...; }
test_go() { go_here "$@" && "$go" test -vet=off -count=1 -v ${1:+-run "^${1#*/}\$"} ./... | at_least_one '^--- PASS'; }

# A test that is not there notices nothing.
at_least_one() { # PATTERN of a success: passes on what it reads, and answers whether tests passed and none failed
	awk -v pattern="$1" '{ print } $0 ~ pattern { passed = 1 } /^(# (fail|cancelled) [1-9]|--- FAIL|FAIL|test result: FAILED)/ { failed = 1 }
		END { exit !passed || failed }'
}

verb=$1_$2
shift 2
"$verb" "$@"
