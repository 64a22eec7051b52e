#!/usr/bin/env python3
"""What pages name is there.

Of every page each file, meant by one name alone; of docs/rules.md and docs/code.md also each folder, test and mutant;
docs/rules.md has the rules that comments of core/ cite, by number and name, and tells each whole; docs/troubleshooting.md
quotes what core/ says; and each page can be reached.

A file is named by the end of its path, as much of it as says which one is meant: `record.c`, `etcd/place.c`. In a
table's row that begins with a folder, the names are those of that folder.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
INSIDE = ("rules.md", "code.md")
TESTS = ("tests", "bindings")


def tracked():
    return subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                          capture_output=True, text=True).stdout.splitlines()


def meant_by(name, folders, files):
    """The files that a name may mean: those of the row's folders first, then that of the whole path."""
    pattern = re.compile("(?:.*/)?" + re.escape(name).replace(r"\*", r"[^/]*"))
    found = [path for path in files if pattern.fullmatch(path) and (path == name or not path.startswith("examples/"))]
    near = [path for path in found if any(f"/{path}".endswith(f"/{folder}{pathlib.PurePath(path).name}") for folder in folders)]
    return near or [path for path in found if path == name] or found


def wrong_names(text, files):
    for line in text.splitlines():
        cell = line.split("|")[1] if line.startswith("|") else ""
        folders = re.findall(r"`([\w/.-]+/)`", cell)
        for name in re.findall(r"`([\w/.*-]+\.(?:c|h|py|i|sh|md|json|supp))`", line):
            meant = meant_by(name, folders, files)
            if not meant or (len(meant) > 1 and "*" not in name):
                yield f"`{name}` is {' or '.join(meant) or 'no file'}"


def wrong_folders(text, files):
    for name in sorted(set(re.findall(r"`([\w/.-]+/)`", text))):
        if not any(f"/{name}" in f"/{path}" for path in files) and not name.startswith("build"):
            yield f"`{name}` is no folder"


def wrong_tests(text, tests):
    known = set(re.findall(r"\btest_\w+", tests))
    for name in sorted(set(re.findall(r"`(test_\w+)`", text)) - known):
        yield f"there is no test `{name}`"


def wrong_mutants(text):
    listed = set(re.findall(r"^\| (\d+) \|", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE))
    made = set(re.findall(r'^    \("(\d+)', (ROOT / "tests/simulation/mutants.py").read_text(), re.MULTILINE))
    for first, more in re.findall(r"[Mm]utants? (\d+)((?:(?:, | and | to )\d+)*)", text):
        for number in [first, *re.findall(r"\d+", more)]:
            if number not in listed & made:
                yield f"there is no mutant {number}"


def wrong_rules(files):
    known = re.findall(r"^\*\*(\d+)\. ", (ROOT / "docs/rules.md").read_text(), re.MULTILINE)
    for path in files:
        if path.startswith("core/") and path.endswith((".c", ".h")):
            for cited in re.findall(r"\b[Rr]ules? (\d+(?:(?:,| and| to)[\s*]+\d+)*)", (ROOT / path).read_text()):
                yield from (f"{path}: there is no rule {number}" for number in re.findall(r"\d+", cited) if number not in known)


def plain(words):
    return " ".join(re.sub(r"[*`]", " ", words).lower().split())


def nameless_rules(files):
    """Comments that cite a rule by its number alone, or by other words than its title begins with."""
    titles = {number: plain(re.sub("^etcd: ", "", title)) for number, title in
              re.findall(r"^\*\*(\d+)\. ([^*]+)\.\*\*", (ROOT / "docs/rules.md").read_text(), re.MULTILINE)}
    for path in files:
        if path.startswith("core/") and path.endswith((".c", ".h")):
            for number, name in re.findall(r"\b[Rr]ule (\d+)\b(?:,([^).:;]*))?", (ROOT / path).read_text()):
                if not plain(name) or not titles.get(number, "").startswith(plain(name)):
                    yield f"{path}: rule {number} is cited without its name"


def lacks_of_rules():
    """Each rule says what happens without it, where it is kept, and which test and which mutant hold it.

    The test that notices a numbered mutant is the simulation.
    """
    text = (ROOT / "docs/rules.md").read_text()
    by_name = set(re.findall(r"^\| ([a-z]+-\d+) \|", (ROOT / "docs/mutants.md").read_text(), re.MULTILINE))
    parts = {"what happens without it": r"Without it:", "where it is kept": r"`[\w/]+(?:\.[chi]|/)`",
             "a test": r"`test_\w+(?:\.py)?`|`tests/[\w/.]+`|[Mm]utants?\s\d", "a mutant": r"[Mm]utants?\s\d|`[a-z]+-\d+`"}
    rules = re.findall(r"^\*\*(\d+)\. (.*?)(?=^\*\*\d+\. |^## |\Z)", text, re.MULTILINE | re.DOTALL)
    for number, said in rules:
        yield from (f"docs/rules.md: rule {number} does not say {part}" for part, form in parts.items() if not re.search(form, said))
        yield from (f"docs/rules.md: rule {number}: there is no mutant {name}"
                    for name in re.findall(r"`([a-z]+-\d+)`", said) if name not in by_name)
    print(f"rules: {len(rules)}")


def wrong_sentences(files):
    """Quoted sentences whose words no text of core/ has; "…" stands for what is filled in."""
    texts = []
    for path in files:
        if path.startswith("core/") and path.endswith(".c"):
            for text in re.findall(r'"(?:\\.|[^"\\\n])*"(?:\s*(?:PRI\w+\s*)?"(?:\\.|[^"\\\n])*")*', (ROOT / path).read_text()):
                texts.append(re.sub(r'"\s*(?:PRI\w+)?\s*"', "", text).replace('\\"', ""))
    told = "\n".join(texts)
    table = (ROOT / "docs/troubleshooting.md").read_text().partition("## By what is said")[2]
    for sentence in re.findall(r"^\| (?!sentence|---)([^|]+?) \|", table, re.MULTILINE):
        for words in filter(None, (part.strip(" ,;:") for part in re.split("…|; ", sentence))):
            if words not in told:
                yield f"docs/troubleshooting.md: nothing says \"{words}\""


def unreachable_pages():
    entrance, site = (ROOT / "docs/README.md").read_text(), (ROOT / ".ci/mkdocs.yml").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        # The list of mutants is reached from the rules, which it belongs to.
        if page.name != "README.md" and page.name != "mutants.md" and f"({page.name})" not in entrance:
            yield f"docs/README.md does not lead to {page.name}"
        if not re.search(rf"\b{re.escape(page.name)}", site):
            yield f".ci/mkdocs.yml does not have {page.name}"


def main():
    files = tracked()
    tests = "\n".join((ROOT / path).read_text(errors="replace") for path in files
                      if path.startswith(TESTS) and path.endswith((".c", ".py", ".h", ".txt", ".inc"))) + "\n".join(
        pathlib.PurePath(path).stem for path in files)
    wrong = [*wrong_rules(files), *nameless_rules(files), *lacks_of_rules(), *wrong_sentences(files), *unreachable_pages()]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = page.read_text()
        found = [*wrong_names(text, files)] if page.name != "mutants.md" else []
        if page.name in INSIDE:
            found += [*wrong_folders(text, files), *wrong_tests(text, tests), *wrong_mutants(text)]
        wrong += [f"{page.relative_to(ROOT)}: {what}" for what in found]
    print("\n".join(wrong or ["what the pages name is there"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
