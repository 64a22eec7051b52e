#!/bin/sh
# Builds the library with mono's compiler, from the sources that the project file lists: sh build.sh FOLDER
set -eu
cd "$(dirname "$0")"
out=$1
cmake -S . -B "$out" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCSHARP_SOURCES="$out/swig" >/dev/null
cmake --build "$out" >/dev/null
mcs -langversion:7 -warnaserror+ -target:library -doc:"$out/Metaparticle.Sync.xml" \
	-out:"$out/Metaparticle.Sync.dll" -recurse:'src/*.cs' "$out/swig/*.cs"
