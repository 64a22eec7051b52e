#!/usr/bin/env python3
"""Includes go one way: each folder of core/ sees those below it, and no two files see each other.

    includes.py            checks
    includes.py --picture  prints which folder includes which, as docs/code.md shows it
"""
import pathlib
import re
import sys

CORE = pathlib.Path(__file__).resolve().parents[1] / "core"
LIBRARY = "libmpsync/"
STORES = ("records", "memory", "sqlite", "kubernetes", "etcd", "elector")

# Folder: the folders that it may see. "plain" are the files of base/ that need nothing but C.
ALLOWED = {
    "protocol": {"plain"},
    "base": {"protocol", "plain"},
    "net": {"protocol", "base", "plain"},
    "stores": {"protocol", "base", "net", "plain", *(f"stores/{store}" for store in STORES)},
    "stores/records": {"protocol", "base", "plain"},
    "stores/memory": {"protocol", "base", "net", "plain", "stores/records"},
    "stores/sqlite": {"protocol", "base", "net", "plain", "stores/records"},
    "stores/kubernetes": {"protocol", "base", "net", "plain", "stores/records"},
    "stores/etcd": {"protocol", "base", "net", "plain", "stores/records"},
    "stores/elector": {"protocol", "base", "net", "plain", "stores/records"},
    "api": {"protocol", "base", "net", "plain", "stores"},
    "elector/protocol": {"protocol", "base", "net", "plain"},
    "elector/http": {"protocol", "base", "net", "plain", "elector/protocol"},
    "elector": {"protocol", "base", "net", "plain", "stores", "elector/protocol", "elector/http"},
    "cli": {"api", "base", "plain", "elector"},
}
PLAIN = {"container", "text", "heap", "rfc3339", "id", "duration"}
# What protocol/ and those may use of the system: no I/O, no clock, no thread.
C_ALONE = {"assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "mpsync.h", "search.h", "stdatomic.h",
           "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "string.h", "time.h"}


def folder_of(path):
    """Of a path below core/."""
    folder = str(path.parent).removeprefix(LIBRARY)
    return "plain" if folder == "base" and path.stem in PLAIN else folder


def included(path):
    """The files of core/ that one includes."""
    for name in re.findall(r'^#include "([^"]+)"', (CORE / path).read_text(), re.MULTILINE):
        for place in (path.parent / name, pathlib.Path(LIBRARY, name), pathlib.Path(name)):
            if (CORE / place).exists():
                yield place
                break


def edges():
    for path in sorted(CORE.rglob("*.[ch]")):
        for seen in included(path.relative_to(CORE)):
            yield path.relative_to(CORE), seen


def wrong_ways(pairs):
    for path, seen in pairs:
        here, there = folder_of(path), folder_of(seen)
        allowed = {here, *ALLOWED.get(here, ALLOWED["base"] if here == "plain" else set())}
        if here == "plain":
            allowed = {"plain"}
        if there not in allowed:
            yield f"{path} includes {seen}: {here} must not see {there}"


def impure():
    for path in sorted(CORE.rglob("*.[ch]")):
        below = path.relative_to(CORE)
        if folder_of(below) not in ("plain", "protocol"):
            continue
        for name in re.findall(r"^#include <([^>]+)>", path.read_text(), re.MULTILINE):
            if name not in C_ALONE:
                yield f"{below} includes <{name}>: nothing here does I/O"


def circles(pairs):
    """Files, each with its header, that see each other in the end."""
    graph = {}
    for path, seen in pairs:
        graph.setdefault(path.with_suffix(""), set()).add(seen.with_suffix(""))

    def reached(start):
        found, todo = set(), [start]
        while todo:
            for seen in graph.get(todo.pop(), set()):
                if seen not in found and seen != start:
                    found.add(seen)
                    todo.append(seen)
        return found

    around = {file: reached(file) for file in graph}
    for file, seen in sorted(around.items()):
        for other in sorted(seen):
            if file < other and file in around.get(other, set()):
                yield f"{file} and {other} include each other"


def main(arguments):
    pairs = list(edges())
    if arguments == ["--picture"]:
        ways = sorted({(folder_of(path), folder_of(seen)) for path, seen in pairs})
        for here in sorted({here for here, _ in ways}):
            print(f"{here:20} -> {' '.join(there for start, there in ways if start == here != there)}")
        return 0
    faults = [*wrong_ways(pairs), *impure(), *circles(pairs)]
    print("\n".join(faults or ["includes go one way"]))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
