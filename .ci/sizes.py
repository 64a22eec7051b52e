#!/usr/bin/env python3
"""Files and functions of core/ that fit a reader's memory: sizes.py says the figures, and what is over a bound."""
import pathlib
import re
import sys

CORE = pathlib.Path(__file__).resolve().parents[1] / "core"
# Lines: of any file, of nine files in ten, of any function's body.
FILE, MOST_FILES, FUNCTION = 500, 350, 70


def functions(source):
    """Name and lines of each body, whose braces stand at the beginning of a line."""
    for found in re.finditer(r"\b(\w+)\([^;{}]*\)\n\{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL):
        yield found[1], found[2].count("\n")


def main():
    texts = {path.relative_to(CORE.parent): path.read_text() for path in sorted(CORE.rglob("*.[ch]"))}
    files = sorted(text.count("\n") for text in texts.values())
    bodies = [(size, name, path) for path, text in texts.items() for name, size in functions(text)]
    sizes = sorted(size for size, _, _ in bodies)
    tenth = files[len(files) * 9 // 10]
    print(f"{len(files)} files: at most {files[-1]} lines, nine in ten at most {tenth}; "
          f"{len(sizes)} functions: median {sizes[len(sizes) // 2]}, at most {sizes[-1]}")
    faults = [f"{path}: {text.count(chr(10))} lines, more than {FILE}" for path, text in texts.items()
              if text.count("\n") > FILE]
    faults += [f"{path}: {name} has {size} lines, more than {FUNCTION}" for size, name, path in bodies if size > FUNCTION]
    if tenth > MOST_FILES:
        faults.append(f"one file in ten has more than {MOST_FILES} lines")
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
