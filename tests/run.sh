#!/bin/sh
# Runs the tests: sh tests/run.sh [--load N] [TIER…]; see --list.
# Named tiers run one after another. Without a name all of them run, side by side where they can.
# --load N: beside N busy loops, on which no test may depend.
# A tier that cannot run for want of something says so and counts as skipped; with CI=true it fails.
set -u
cd "$(dirname "$0")/.." || exit
root=$(pwd)

all="setup build unit fuzz simulation mutants integration edges etcd kubernetes python node java dotnet rust go conformance clang asan tsan valgrind lint exports abi consumers docs openapi coverage edge_mutants binding_mutants nemesis"
SEEDS=${SEEDS:-20000}
LINES_FLOOR=95
BRANCHES_FLOOR=88
export MPSYNC_BUILD="$root/build"
unset MPSYNC_URL

packages="build-essential cmake ninja-build pkg-config python3 python3-dev python3-venv libevent-dev
libcurl4-openssl-dev libcjson-dev libyaml-dev libssl-dev libsqlite3-dev libprotobuf-c-dev protobuf-c-compiler libcmocka-dev sqlite3 socat clang openssl
clang-format clang-tidy cppcheck valgrind shellcheck gcovr git ca-certificates libclang-rt-14-dev mandoc mount util-linux
etcd-server etcd-client iproute2 abigail-tools doxygen curl ccache golang-go buildah mmdebstrap mono-devel bsdutils tmux"

# Only where there is none: other distributors' packages may be newer.
language_packages() {
	command -v node >/dev/null && command -v npm >/dev/null || echo nodejs npm
	command -v javac >/dev/null && command -v mvn >/dev/null || echo openjdk-17-jdk-headless maven
	command -v cargo >/dev/null || echo cargo-web rustc-web rustfmt-web
}

last_lines() { # COUNT COMMAND…: prints only the end of what it says, and answers as it does
	lines=$1
	shift
	log=$(mktemp)
	"$@" >"$log" 2>&1
	answer=$?
	[ $answer = 0 ] || lines=200
	tail -n "$lines" "$log"
	rm -f "$log"
	return $answer
}

configure_and_build() { # PRESET
	cmake -G Ninja --preset "$1" -DBUILD_TESTING=ON >/dev/null && last_lines 2 cmake --build --preset "$1"
}

missing() { # PROGRAM…: says which are missing
	for program; do
		command -v "$program" >/dev/null 2>&1 || echo "$program"
	done
}

tier_setup() {
	lacking=$(missing cmake ninja pkg-config clang clang-format clang-tidy cppcheck valgrind sqlite3 \
		socat shellcheck gcovr doxygen curl ccache python3 mandoc mount prlimit openssl
		protoc-c etcd etcdctl ip abidiff go buildah mmdebstrap node npm javac mvn mcs cargo script tmux)
	pkg-config --exists libevent_openssl libcurl libcjson openssl cmocka sqlite3 libprotobuf-c yaml-0.1 2>/dev/null ||
		lacking="$lacking libraries"
	[ -z "$lacking" ] && return 0
	[ "$(id -u)" = 0 ] || { echo "missing: $lacking; install them as root"; return 1; }
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2046,SC2086
	apt-get update -q >/dev/null && apt-get install -qy --no-install-recommends $packages $(language_packages) >/dev/null
}

tier_build() { configure_and_build debug && configure_and_build release; }

# Several at a time: the longest ones wait.
unit_tests() { # BUILD [OPTION…]
	folder=$1
	shift
	ctest --no-tests=error --test-dir "$folder" -j4 --output-on-failure "$@"
}
tier_unit() { unit_tests build -L unit; }

# What is known to be odd, and ten seconds of what is not.
tier_fuzz() {
	last_lines 4 ctest --no-tests=error --test-dir build -L fuzz --output-on-failure &&
		sh tests/fuzz/run.sh 10
}
tier_simulation() { build/bin/simulation --seeds "$SEEDS" &&
	build/bin/simulation --mode 0 --seeds 1000 --ratio 1200000 &&
	build/bin/simulation --mode 1 --seeds 300 --ratio 1200000 &&
	build/bin/simulation --mode 3 --seeds 1000 --ratio 1200000 && too_far_apart; }

# The margin tolerates clocks whose rates differ by a quarter; beyond that the simulation must notice.
too_far_apart() {
	for mode in 0 2 3; do
		! build/bin/simulation --mode "$mode" --seeds 2000 --ratio 1300000 >/dev/null || return 1
	done
	echo "with clocks 30 % apart it fails, as it must"
}
tier_mutants() { python3 tests/simulation/mutants.py; }
# The tests of a folder, several at a time.
apart() ( # COUNT BUILD FOLDER [TEST…]
	count=$1
	cd "tests/$3" || exit 1
	export MPSYNC_BUILD="$root/$2"
	shift 3
	python3 ../support/apart.py "$count" "$@"
)
integration_with() { apart 4 "$1" integration; }
tier_integration() { last_lines 60 integration_with build; }

# What the simulation takes as given: processes, files, sockets and servers as they really are.
edges_with() { apart 4 "$1" edges; }
tier_edges() { last_lines 60 edges_with build; }
etcd_with() { apart 4 "$1" etcd; }
tier_etcd() { last_lines 30 etcd_with build; }

# A Go that can build Kubernetes: the one that is here, else one from the module proxy.
new_go() {
	if [ "$(go version | sed 's/.*go1\.\([0-9]*\).*/\1/')" -ge 24 ]; then
		echo go
		return
	fi
	machine=$(go env GOARCH)
	version="golang.org/toolchain@v0.0.1-go1.24.13.linux-$machine"
	(cd /tmp && GO111MODULE=on GOFLAGS=-mod=mod go mod download "$version") || return 1
	folder="$(go env GOMODCACHE)/$version"
	chmod -R u+x "$folder/bin" "$folder/pkg/tool"
	echo "$folder/bin/go"
}

# What more than one tier starts, made once: kube-apiserver alone takes some minutes.
tier_programs() (
	mkdir -p build/kubernetes
	go=$(new_go) || return 1
	cd tests/kubernetes/go || return 1
	export CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-trimpath
	for program in k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl ./contender ./bench; do
		name=$(basename "$program")
		{ [ -n "${KUBEBUILDER_ASSETS:-}" ] && [ -x "$KUBEBUILDER_ASSETS/$name" ]; } ||
			[ -x "$root/build/kubernetes/$name" ] ||
			"$go" build -ldflags='-s -w' -o "$root/build/kubernetes/" "$program" || return 1
	done
)
kubernetes_with() ( # BUILD [TEST…]
	export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$root/build/kubernetes}"
	build=$1
	shift
	apart 2 "$build" kubernetes "$@" # each with an API server
)
tier_kubernetes() { tier_programs && last_lines 80 kubernetes_with build && go_resourcelock; }

tier_clang() {
	configure_and_build clang &&
		last_lines 4 unit_tests build-clang
}

tier_asan() {
	tier_build_asan &&
		last_lines 4 unit_tests build-asan &&
		build-asan/bin/simulation --seeds 500 && last_lines 4 integration_with build-asan &&
		MPSYNC_PRELOAD=$(cc -print-file-name=libasan.so) ASAN_OPTIONS=quarantine_size_mb=8 last_lines 4 edges_with build-asan &&
		last_lines 4 etcd_with build-asan && tier_programs &&
		last_lines 4 kubernetes_with build-asan test_kubernetes.Store test_kubernetes.OtherHands \
			test_kubernetes.Authentication test_kubernetes.Permissions test_kubernetes.Outage
}

# A sample of the mistakes at the edges, each of which a named test must notice: five minutes at most.
tier_edge_mutants() { tier_programs && python3 tests/mutants/run.py --core --sample 300; }

# The same of the mistakes in the bindings: three minutes at most, and the same ones each time, as many as that is enough
# for; run.py --bindings takes all.
tier_binding_mutants() {
	MPSYNC_GO=$(new_go) && MPSYNC_MUTANT_LIMIT_S=90 MPSYNC_GO="$MPSYNC_GO" \
		python3 tests/mutants/run.py --bindings --sample 180 --seed 331203749
}

# Real programs over real stores, whatever happens to either: two minutes, over all stores at once.
tier_nemesis() (
	tier_programs || exit 1
	[ -e "$(built_for python)" ] || { echo "building python first"; tier_python >/dev/null; } || exit 1
	MPSYNC_GO=$(new_go) || exit 1
	export MPSYNC_GO CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-trimpath
	python3 tests/nemesis/run.py --seconds 120
)

tier_tsan() {
	tier_build_tsan || return 1
	export TSAN_OPTIONS="suppressions=$root/tests/support/tsan.supp halt_on_error=1"
	last_lines 4 unit_tests build-tsan -L unit &&
		last_lines 4 integration_with build-tsan
	code=$?
	unset TSAN_OPTIONS
	return $code
}

# The programs that the integration tests start, each under valgrind.
valgrind_build() {
	mkdir -p build/valgrind/bin
	for program in mpsync probe test_withdraw; do
		cat >"build/valgrind/bin/$program" <<-WRAPPER
			#!/bin/sh
			exec valgrind -q --child-silent-after-fork=yes --error-exitcode=99 \\
				--suppressions="$root/tests/support/valgrind.supp" "$root/build-debug/bin/$program" "\$@"
		WRAPPER
		chmod +x "build/valgrind/bin/$program"
	done
}

integration_under_valgrind() (
	export MPSYNC_CROWD=20
	apart 2 build/valgrind integration # these compute
)

tier_valgrind() {
	valgrind_build
	last_lines 4 integration_under_valgrind || return 1
	for test in claim record records lease etcd_names heap id_table json_number options queue sessions sse terms text url wire client; do
		valgrind -q --child-silent-after-fork=yes --leak-check=full --errors-for-leak-kinds=definite \
			--show-leak-kinds=definite --error-exitcode=9 \
			--suppressions=tests/support/valgrind.supp "build-debug/bin/test_$test" >/dev/null ||
			{ echo "valgrind: test_$test"; return 1; }
	done
	echo "valgrind: nothing found"
}

# cJSON keeps numbers as doubles, which only one file may turn into whole numbers.
no_unbounded_number() {
	! grep -rnE 'value(double|int)\b' core --include='*.c' --exclude=json_number.c
}

# The pages as a site, without a warning.
site() {
	[ -x build/mkdocs/bin/mkdocs ] ||
		{ python3 -m venv build/mkdocs && build/mkdocs/bin/pip -q install mkdocs-material==9.8.2; } || return 1
	NO_MKDOCS_2_WARNING=1 build/mkdocs/bin/mkdocs build --strict --quiet -f .ci/mkdocs.yml
}

# Who notices which mistake is written down as it is.
mutants_are_documented() {
	python3 tests/mutants/run.py --table | diff docs/mutants.md - ||
		{ echo "docs/mutants.md: make it anew by python3 tests/mutants/run.py --table"; return 1; }
}

tier_lint() {
	sh .ci/format.sh --check c && no_unbounded_number && python3 .ci/includes.py && python3 .ci/sizes.py && python3 .ci/documented.py &&
		python3 .ci/mentioned.py && mutants_are_documented &&
		shellcheck -x -e SC2016,SC2030,SC2031 tests/run.sh tests/fuzz/run.sh tests/languages.sh tests/mutants/bindings.sh tests/references.sh bindings/dotnet/build.sh bindings/rust/generate.sh tests/bench/run.sh tests/bench/etcd.sh tests/bench/languages.sh .ci/run .ci/format.sh .ci/abi.sh examples/quickstart.sh &&
		mandoc -Tlint -Wwarning docs/mpsync.1 && shellcheck -s bash core/cli/mpsync.bash && site && all_references &&
		cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr --enable=warning,portability \
			--suppress=normalCheckLevelMaxBranches \
			--library=tests/support/cppcheck.cfg -Iinclude -Icore/libmpsync core &&
		git ls-files 'core/*.c' | xargs -n 1 -P 2 clang-tidy --quiet -p build-debug \
			--warnings-as-errors='*' 2>/dev/null
}

# The header, the export map and the library name the same functions.
tier_exports() {
	grep -oh '\bmpsync_[a-z_]*(' include/mpsync.h | tr -d '(' | sort -u >/tmp/header.$$
	grep -oh '\bmpsync_[a-z_]*;' core/libmpsync/mpsync.map | tr -d ';' | sort -u >/tmp/map.$$
	nm -D --defined-only build/lib/libmpsync.so | awk '$2 == "T" {sub(/@.*/, "", $3); print $3}' |
		sort -u >/tmp/library.$$
	diff /tmp/header.$$ /tmp/map.$$ && diff /tmp/header.$$ /tmp/library.$$
	code=$?
	rm -f /tmp/header.$$ /tmp/map.$$ /tmp/library.$$
	echo '#include <mpsync.h>' | c++ -std=c++11 -Wall -Werror -Iinclude -fsyntax-only -x c++ - || code=1
	return $code
}

tier_abi() { sh .ci/abi.sh; }

# Every command block of README.md and docs/, with a Go that the module can be built with.
tier_docs() {
	go=$(new_go) && language_tools || return 1
	PATH="$(dirname "$(command -v "$go")"):$PATH:$tools/bin" python3 tests/docs/run.py
}

tier_consumers() (
	cd tests/consumers && python3 -m unittest -v
)

tier_openapi() {
	[ -x .venv/bin/schemathesis ] || { python3 -m venv .venv && .venv/bin/pip -q install schemathesis; } ||
		return 1
	port=$(PYTHONPATH=tests/integration python3 -c 'import support; print(support.free_port())')
	build/bin/mpsync elector --store memory: --listen "127.0.0.1:$port" 2>/dev/null &
	elector=$!
	until build/bin/mpsync doctor --url "http://127.0.0.1:$port" >/dev/null 2>&1; do :; done
	.venv/bin/schemathesis --config-file tests/support/schemathesis.toml run \
		"http://127.0.0.1:$port/openapi.yaml" --max-examples 30 --seed 1 --checks \
		not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance \
		>build/openapi.log 2>&1
	code=$?
	kill $elector
	cut -c1-200 build/openapi.log | tail -n 40
	return $code
}

scenarios_with() ( # BUILD: those of the C library
	export KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$root/build/kubernetes}"
	export MPSYNC_RUNNERS="{\"c\": [\"$root/$1/bin/runner\"]}"
	apart 4 "$1" conformance conformance
)

# Of core/ over all that runs it, also where a part fails: the figure is told all the same. The floor only rises.
tier_coverage() (
	export MPSYNC_MEASURED=1
	tier_build_coverage && tier_programs || exit 1
	code=0
	last_lines 2 unit_tests build-coverage || code=1
	for mode in 0 1 2 3 4; do
		last_lines 0 build-coverage/bin/simulation --mode "$mode" --seeds 150 || code=1
	done
	# Each part is judged by a tier of its own, on a build that is not slowed; here its lines are counted.
	for part in integration edges etcd scenarios kubernetes; do
		last_lines 1 "${part}_with" build-coverage || echo "coverage: $part failed"
	done
	last_lines 4 gcovr --root . --filter core/ --gcov-ignore-parse-errors --print-summary \
		--fail-under-line "$LINES_FLOOR" --fail-under-branch "$BRANCHES_FLOOR" build-coverage || code=1
	exit $code
)

. "$root/tests/languages.sh"
. "$root/tests/references.sh"
. "$root/tests/schedule.sh"

busy=
running=
clock=$(mktemp)
trap 'end_what_runs; rm -f "$clock"' EXIT
trap 'exit 130' INT TERM
while [ $# -gt 0 ]; do
	case $1 in
	--list)
		echo "$all"
		exit 0
		;;
	--load)
		keep_busy "${2:?how many busy loops}"
		shift 2
		;;
	*) break ;;
	esac
done

passed=0
failed=0
start=$(date +%s)
if [ $# = 0 ]; then
	side_by_side
else
	one_after_another "$@"
fi
[ -z "${MPSYNC_ONE_OF_MANY:-}" ] || exit "$failed"
echo "tiers took $(($(date +%s) - start)) s"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
