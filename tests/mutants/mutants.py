"""The lists of mutants, and where each lies in the sources as they are now."""
import dataclasses
import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ROOT / "core"
LISTS = pathlib.Path(__file__).resolve().parent


class Misplaced(Exception):
    """The function or the text is not there, or is there more than once."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    id: str
    function: str
    text: str
    replacement: str
    reason: str
    killed_by: str = ""  # the test that notices; "": nobody has looked yet, or none does
    survives: str = ""   # why none can, or what one would take


def load():
    found = [Mutant(**entry) for path in sorted(LISTS.glob("*.toml"))
             for entry in tomllib.loads(path.read_text())["mutant"]]
    ids = [mutant.id for mutant in found]
    twice = {name for name in ids if ids.count(name) > 1}
    if twice:
        raise SystemExit(f"mutants: used twice: {', '.join(sorted(twice))}")
    return found


def bodies(source, function):
    """Start and end of each definition of the function: its body ends with a brace at a line's start."""
    definition = re.compile(
        rf"^[a-z_][^;{{}}=#]*?\b{re.escape(function)}\([^;{{}}]*\)\n\{{\n.*?^\}}", re.MULTILINE | re.DOTALL)
    return [found.span() for found in definition.finditer(source)]


def pattern(text):
    """The text, however it is wrapped, and no part of a longer name."""
    words = r"\s+".join(re.escape(word) for word in text.split())
    return re.compile((r"\b" if re.match(r"\w", text) else "") + words + (r"\b" if re.search(r"\w$", text) else ""))


def place(mutant):
    """The file, and what stands in it when the mistake is made."""
    functions, found = 0, []
    for path in sorted(CORE.rglob("*.c")):
        source = path.read_text()
        for start, end in bodies(source, mutant.function):
            functions += 1
            for match in pattern(mutant.text).finditer(source, start, end):
                found.append((path, source[:match.start()] + mutant.replacement.strip("\n") + source[match.end():]))
    if not functions:
        raise Misplaced(f"there is no function {mutant.function}")
    if len(found) != 1:
        raise Misplaced(f"{mutant.function} has the text {len(found)} times")
    return found[0]
