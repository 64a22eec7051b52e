"""The lists of mutants, and where each lies in the sources as they are now."""
import dataclasses
import pathlib
import re
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORE = ROOT / "core"
BINDINGS = ROOT / "bindings"
LANGUAGES = ("python", "node", "java", "dotnet", "rust", "go")
LISTS = pathlib.Path(__file__).resolve().parent


class Misplaced(Exception):
    """The function, the file or the text is not there, or is there more than once."""


@dataclasses.dataclass(frozen=True)
class Mutant:
    area: str       # the name of its list, which for a binding is its language
    id: str
    text: str
    replacement: str
    reason: str
    function: str = ""   # of core/, that has the text once
    file: str = ""       # or, of a binding, the file below its folder
    killed_by: str = ""  # the test that notices; "": nobody has looked yet, or none does
    survives: str = ""   # why none can, or what one would take

    @property
    def language(self):
        return self.area if self.area in LANGUAGES else None


def load():
    found = [Mutant(area=path.stem, **entry) for path in sorted(LISTS.glob("*.toml"))
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


def changed(mutant, path, start=0, end=None):
    """The file with what stands in it when the mistake is made, for each time that it has the text."""
    source = path.read_text()
    for match in pattern(mutant.text).finditer(source, start, len(source) if end is None else end):
        yield path, source[:match.start()] + mutant.replacement.strip("\n") + source[match.end():]


def place_in_binding(mutant):
    path = BINDINGS / mutant.language / mutant.file
    if not path.is_file():
        raise Misplaced(f"there is no file {path.relative_to(ROOT)}")
    return [*changed(mutant, path)]


def place_in_core(mutant):
    functions, found = 0, []
    for path in sorted(CORE.rglob("*.c")):
        source = path.read_text()
        for start, end in bodies(source, mutant.function):
            functions += 1
            found += changed(mutant, path, start, end)
    if not functions:
        raise Misplaced(f"there is no function {mutant.function}")
    return found


def place(mutant):
    """The file, and what stands in it when the mistake is made."""
    found = place_in_binding(mutant) if mutant.language else place_in_core(mutant)
    if len(found) != 1:
        raise Misplaced(f"{mutant.file or mutant.function} has the text {len(found)} times")
    return found[0]
