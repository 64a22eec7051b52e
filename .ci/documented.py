#!/usr/bin/env python3
"""What is public is documented: the C API in its header, options and flags in docs/ and the man page.

    documented.py [WORD…]   all, or those parts whose name has one of these words; says what lacks, and counts

Doxygen warns of what has no comment at all; this looks at what a comment has to say.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEADER = (ROOT / "include/mpsync.h").read_text()
# Said once for all functions, at the head of the header.
SAID_FOR_ALL = {"error", "options", "queue", "event", "client", "list", "lock", "election"}
AT_THE_HEAD = ("**Handles**", "**Threads**", "**Text**", "**Errors**", "**After fork()**", "**Numbers**", "**Times**")
COMMENT = r"/\*\*(?P<comment>(?:(?!\*/).)*)\*/\n"


def words(comment):
    return " ".join(re.sub(r"^\s*\* ?", "", line) for line in comment.splitlines())


def functions():
    """Name, what it returns, its parameters and its comment."""
    declaration = r"MPSYNC_API (?P<returns>[\w ]+?[ *]+)(?P<name>mpsync_\w+)\((?P<parameters>.*?)\);"
    for found in re.finditer(f"(?:{COMMENT})?{declaration}", HEADER, re.DOTALL):
        parameters = re.sub(r"\(\*(\w+)\)\(.*?\)", r"\1", found["parameters"].replace("\n", " "))
        names = [] if parameters == "void" else [re.search(r"(\w+)$", part)[1] for part in parameters.split(",")]
        yield found["name"], found["returns"].strip(), names, words(found["comment"] or "")


def lacks_of_function(returns, parameters, comment):
    said, _, returned = comment.partition("@return")
    if not (said.strip(" *") or returned.strip()):
        yield "what it does"
    for name in parameters:
        described = re.search(rf"@param {name}\b(.*?)(?=@param|@return|$)", comment)
        # The options of a lock and the queue of a client are arguments, not the handle itself.
        if not described and (name not in SAID_FOR_ALL or (name in ("options", "queue") and name != parameters[0])):
            yield f"@param {name}"
        elif described and name.endswith("_ms") and "milliseconds" not in described[1]:
            yield f"the unit of {name}"
        elif described and name in ("name", "value", "options") and "error" in parameters and returns.endswith("*") and \
                not re.search(r"copied|borrowed", described[1]):
            yield f"whether {name} is copied"
    if returns != "void" and not returned:
        yield "@return"
    if returns.endswith("*") and not re.search(r"owned by|borrowed|a constant", returned) and "is borrowed" not in comment:
        yield "who owns what it returns"
    if "error" in parameters and not re.search(r"MPSYNC_E_|the common errors|as mpsync_", returned):
        yield "its errors"


def lacks_of_header():
    count = 0
    for part in AT_THE_HEAD:
        if part not in HEADER.partition("#ifndef")[0]:
            yield f"mpsync.h: nothing at its head about {part}"
    for name, returns, parameters, comment in functions():
        count += 1
        for lack in lacks_of_function(returns, parameters, comment):
            yield f"mpsync.h: {name} does not say {lack}"
    declared = set(re.findall(r"\b(mpsync_\w+)\(", re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)))
    for name in declared - {name for name, *_ in functions()}:
        yield f"mpsync.h: {name} is declared in a form that this check cannot read"
    typedefs = re.finditer(rf"(?:{COMMENT})?typedef (?:enum|struct) [^;{{]*(?:\{{(?P<members>.*?)\}} )?(?P<name>mpsync_\w+);",
                           HEADER, re.DOTALL)
    for found in typedefs:
        members = (found["members"] or "").strip().splitlines()
        count += 1 + len(members)
        if not found["comment"]:
            yield f"mpsync.h: {found['name']} has no comment"
        yield from (f"mpsync.h: {found['name']}: {line.strip()} has no comment" for line in members if "/**<" not in line)
    for found in re.finditer(rf"(?:{COMMENT})?#define (?P<name>MPSYNC_OP_\w+)", HEADER, re.DOTALL):
        count += 1
        if not found["comment"]:
            yield f"mpsync.h: {found['name']} has no comment"
    print(f"mpsync.h: {count} functions, types, constants and fields")


def rows(page):
    """The rows of a page's tables by each name that their first cell has."""
    for line in (ROOT / "docs" / page).read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        for name in re.findall(r"`(-{0,2}[\w-]+)", cells[0]) if cells else []:
            yield name, cells


def flags_in(path):
    """Each flag that a table of core/ has."""
    return re.findall(r'\{"([a-z-]+)", (?:NULL|"[^"]*"), \w+, \w+,\s', (ROOT / "core" / path).read_text())


def lacks_of_options():
    table = re.findall(r'\[OPTION_\w+\] = \{"(\w+)", (\w+), (?:NULL|"([^"]*)"), (?:NULL|"([^"]*)")',
                       (ROOT / "core/libmpsync/base/options.c").read_text())
    told = dict(rows("options.md"))
    flags = flags_in("cli/flags.c")
    for name, kind, default, choices in table:
        if name not in told:
            yield f"docs/options.md has no {name}"
            continue
        _, value, usual, meaning = told[name]
        if not (value and usual and meaning):
            yield f"docs/options.md: {name} does not say its value, its default or its meaning"
        if kind == "DURATION" and "duration" not in value:
            yield f"docs/options.md: {name} is a duration"
        for choice in filter(None, choices.split("|")):
            if f"`{choice}`" not in value:
                yield f"docs/options.md: {name} may be {choice}"
        if default and usual != f"`{default}`":
            yield f"docs/options.md: the default of {name} is {default}, not {usual}"
        if name.replace("_", "-") not in flags:
            yield f"the command has no flag for the option {name}"
    for name in told.keys() - {name for name, *_ in table}:
        yield f"docs/options.md: there is no option {name}"
    print(f"options.md: {len(table)} options")


def lacks_of_flags():
    """Each flag in the man page, and in one page of docs/."""
    options = {f"--{name.replace('_', '-')}" for name, _ in rows("options.md")}
    pages = {"cli/flags.c": {name for name, _ in rows("command-line.md")} | options | {"--help", "--version"},
             "elector/configuration.c": {name for name, _ in rows("elector.md")} | {"--help", "--version"}}
    manual = set(re.findall(r"Fl \\?-([a-z-]+)", (ROOT / "docs/mpsync.1").read_text()))
    all_flags = set()
    for path, told in pages.items():
        flags = flags_in(path)
        all_flags |= set(flags)
        yield from (f"{path}: no page has a row for --{name}" for name in flags if f"--{name}" not in told)
        yield from (f"{path}: mpsync.1 has no --{name}" for name in flags if name not in manual)
        yield from (f"a page has {name}, which is no flag of {path}" for name in told - options
                    if name.startswith("--") and name[2:] not in flags)
    yield from (f"mpsync.1 has --{name}, which is no flag" for name in manual - all_flags if name != "h")
    print(f"flags: {len(all_flags)}")


def lacks_of_exit_codes():
    source = (ROOT / "core/elector/command_line.h").read_text()
    codes = re.findall(r"EXIT_\w+ = (\d+)", source)
    for page in ("command-line.md", "troubleshooting.md", "mpsync.1"):
        text = (ROOT / "docs" / page).read_text()
        yield from (f"docs/{page}: no exit code {code}" for code in codes if not re.search(rf"\b{code}\b", text))
    print(f"exit codes: {len(codes)}")


PARTS = {"header": lacks_of_header, "options": lacks_of_options, "flags": lacks_of_flags, "codes": lacks_of_exit_codes}


def main(wanted):
    lacking = [lack for name, lacks in PARTS.items() if not wanted or any(word in name for word in wanted)
               for lack in lacks()]
    print("\n".join(lacking or ["all documented"]))
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
