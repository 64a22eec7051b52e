# shellcheck shell=sh disable=SC2154,SC2030,SC2031 # sourced by run.sh, which sets root and tools
# Each language's reference, by its own tool, into build/references/. What is public and has no comment fails:
# in C by Doxygen and .ci/documented.py, in Node, Java, C# and Rust by the tool itself, in Python by ruff's rules
# and in Go by a test of the package, in the tiers of those names.

references="$root/build/references"

reference_c() { mkdir -p build/doxygen && doxygen .ci/Doxyfile; }

reference_python() {
	[ -x "$references/sphinx/bin/sphinx-build" ] ||
		{ python3 -m venv "$references/sphinx" && "$references/sphinx/bin/pip" -q install sphinx==9.0.4; } || return 1
	"$references/sphinx/bin/sphinx-build" -q -E -W --keep-going .ci/sphinx "$references/python"
}

reference_node() {
	[ -x "$references/typedoc/node_modules/.bin/typedoc" ] ||
		last_lines 1 npm install --no-audit --no-fund --ignore-scripts --prefix "$references/typedoc" \
			typedoc@0.28.20 typescript@5 @types/node@20 || return 1
	last_lines 0 "$references/typedoc/node_modules/.bin/typedoc" --options .ci/typedoc.json
}

# What SWIG makes for a language, without compiling it: the classes by hand use it.
swig_sources() { # FOLDER ARGUMENT…
	folder=$1
	shift
	mkdir -p "$folder" && "$tools/bin/swig" "$@" -module Native -outdir "$folder" -o "$references/native.c" bindings/mpsync.i
}

reference_java() {
	swig_sources "$references/java-swig/io/metaparticle/sync/internal" -java -package io.metaparticle.sync.internal &&
		javadoc -quiet -Xdoclint:all -Werror -Xmaxwarns 1000 -d "$references/java" \
			-sourcepath "bindings/java/src/main/java:$references/java-swig" io.metaparticle.sync
}

reference_dotnet() {
	swig_sources "$references/dotnet-swig" -csharp -DSWIG_CSHARP_NO_EXCEPTION_HELPER -DSWIG_CSHARP_NO_STRING_HELPER \
		-namespace Metaparticle.Sync -dllimport mpsync_dotnet &&
		mcs -langversion:7 -warnaserror+ -target:library -doc:"$references/Metaparticle.Sync.xml" \
			-out:"$references/Metaparticle.Sync.dll" -recurse:'bindings/dotnet/src/*.cs' "$references/dotnet-swig/*.cs"
}

reference_rust() (
	cmake --install build --prefix "$references/prefix" >/dev/null || exit 1
	PKG_CONFIG_PATH=$(dirname "$(find "$references/prefix" -name mpsync.pc)")
	export PKG_CONFIG_PATH CARGO_TARGET_DIR="$references/rust" RUSTDOCFLAGS='-D warnings'
	cd bindings/rust && last_lines 0 cargo doc --no-deps
)

reference_go() { (cd bindings/go && go doc -all .) >"$references/go.txt"; }

all_references() {
	language_tools && mkdir -p "$references" || return 1
	for language in c python node java dotnet rust go; do
		"reference_$language" || { echo "the reference of $language cannot be built, or lacks something"; return 1; }
	done
}
