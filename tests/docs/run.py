#!/usr/bin/env python3
"""Every command block of README.md and docs/ is run as a reader would paste it.

    run.py [WORD…]   all, or those pages and sections whose title has one of these words

In a clean clone with an empty home folder. The first minute comes first. Then each language's section of the
README runs by itself, pasted twice, and all of them in one shell; each other section and each page runs by itself,
without a network. Nothing may be left untracked. A block that cannot run here has a line before it that does
not show, <!-- not run: WHY -->; there are at most six of these.
"""
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRST = "The first minute"
MOST_NOT_RUN = 6
PATIENCE_S = int(os.environ.get("MPSYNC_PATIENCE_S", 900))
# What would be fetched into the home folder again and again: the folder below it, and who keeps it there.
CACHES = {"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup", "GOPATH": "go", "npm_config_cache": ".npm",
          "PIP_CACHE_DIR": ".cache/pip", "CCACHE_DIR": ".cache/ccache"}
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?^```sh\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass
class Part:
    """A section of the README, or a page: what is pasted into one shell."""
    title: str
    blocks: list
    not_run: list

    @property
    def code(self):
        return "".join(self.blocks)

    @property
    def is_language(self):
        return self.title.startswith("In ") and "elector" not in self.title


def part_of(title, text):
    found = list(BLOCK.finditer(text))
    return Part(title, [block["code"] for block in found if not block["why"]],
                [f"{title}: {block['why']}" for block in found if block["why"]])


def read_parts():
    sections = re.split(r"^## (.+)$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    parts = [part_of("README", sections[0])]
    parts += [part_of(title, text) for title, text in zip(sections[1::2], sections[2::2])]
    parts += [part_of(f"docs/{page.name}", page.read_text()) for page in sorted((ROOT / "docs").glob("*.md"))]
    return [part for part in parts if part.blocks or part.not_run]


def missed_blocks():
    """Commands in a form that is not run here: other words for a shell, or inside of a list."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for fence in re.findall(r"^(?: *```(?:bash|shell|console|zsh)| +```sh)\b.*$", page.read_text(), re.MULTILINE):
            yield f"{page.relative_to(ROOT)}: {fence.strip()}"


def dead_links():
    """Links of README.md and docs/ to files, and to headings in them, that are not there."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
            name, _, heading = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE) if file.suffix == ".md" and file.exists() else []
            anchors = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
            if not file.exists() or (heading and heading not in anchors):
                yield f"{page.relative_to(ROOT)}: {target}"


class Place:
    """A clean clone, and a home folder with nothing in it."""

    def __init__(self, folder):
        self.clone = folder / "sync"
        self.home = folder / "home"
        self.tools = folder / "tools"
        for made in (self.clone, self.home, self.tools):
            made.mkdir()
        files = subprocess.run(["git", "ls-files", "-zco", "--exclude-standard"], cwd=ROOT, check=True,
                               capture_output=True).stdout.split(b"\0")
        for name in filter(None, map(os.fsdecode, files)):
            if (ROOT / name).is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.clone / name)
        self.git("init", "-q")
        self.git("add", "-A")
        self.git("-c", "user.name=docs", "-c", "user.email=docs@localhost", "commit", "-qm", "as it is")
        # The tier "setup" has installed what the tests need; a reader's apt-get would do it here.
        installer = self.tools / "apt-get"
        installer.write_text("#!/bin/sh\nexit 0\n")
        installer.chmod(0o755)

    def git(self, *words):
        return subprocess.run(["git", *words], cwd=self.clone, check=True, capture_output=True, text=True).stdout

    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MPSYNC_")}
        real = pathlib.Path(os.environ.get("HOME", "/root"))
        caches = {name: os.environ.get(name, str(real / below)) for name, below in CACHES.items()}
        if shutil.which("ccache"):
            caches["CMAKE_C_COMPILER_LAUNCHER"] = "ccache"
            caches["CCACHE_BASEDIR"] = str(self.clone)
        return {**kept, **caches, "HOME": str(self.home), "GOTOOLCHAIN": "local",
                "MAVEN_OPTS": f"-Dmaven.repo.local={real}/.m2/repository",
                "PATH": f"{self.tools}:{self.clone}/build/bin:{os.environ['PATH']}"}

    def run(self, title, code, network):
        """What went wrong, or nothing."""
        alone = [] if network or os.geteuid() != 0 else ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "-"]
        began = time.monotonic()
        with tempfile.TemporaryFile() as said:
            with subprocess.Popen([*alone, "bash", "-eu", "-o", "pipefail", "-c", code], cwd=self.clone, stdout=said,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=self.environment(),
                                  start_new_session=True) as child:
                try:
                    status = child.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    status = f"not done after {PATIENCE_S} s"
                finally:
                    try:
                        os.killpg(child.pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
            said.seek(0)
            text = said.read().decode(errors="replace")
        left = self.git("status", "--porcelain")
        problem = f"ended with {status}" if status != 0 else f"leaves behind:\n{left}" if left else ""
        print(f"{'FAIL' if problem else 'ok':4}  {title}, {time.monotonic() - began:.0f} s", flush=True)
        if problem:
            print(problem, text[-4000:], sep="\n", flush=True)
        return problem

    def clean(self):
        """As after the first minute."""
        self.git("clean", "-fdxq", "-e", "/build")
        for name in ("turn", "dotnet", "installed"):
            shutil.rmtree(self.clone / "build" / name, ignore_errors=True)


def run_all(place, parts, words):
    chosen = [part for part in parts if part.blocks and part.title != FIRST and
              (not words or any(word in part.title for word in words))]
    languages = [part for part in chosen if part.is_language]
    first = next(part for part in parts if part.title == FIRST)
    if place.run(FIRST, first.code, True):
        return 1
    failed = 0
    for part in chosen:
        code = part.code + part.code if part.is_language else part.code
        failed += bool(place.run(part.title + (", twice" if part.is_language else ""), code, part.is_language))
        place.clean()
    if len(languages) > 1:
        row = first.code + "".join(part.code for part in languages)
        failed += bool(place.run("all languages in a row", row, True))
    return failed


def main():
    parts = read_parts()
    not_run = [why for part in parts for why in part.not_run]
    dead, missed = list(dead_links()), list(missed_blocks())
    print(*(f"--    {why}" for why in not_run), *(f"FAIL  dead link: {link}" for link in dead),
          *(f"FAIL  not at a line's beginning, or not called sh: {block}" for block in missed), sep="\n")
    if len(not_run) > MOST_NOT_RUN or dead or missed:
        return f"{len(not_run)} blocks do not run (at most {MOST_NOT_RUN} may), {len(missed)} are missed, {len(dead)} dead links"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mpsync-docs-"))
    try:
        failed = run_all(Place(folder), parts, sys.argv[1:])
    finally:
        # What a block has left running was killed, and what that has started may not have ended yet.
        shutil.rmtree(folder, ignore_errors=True)
    return f"{failed} failed" if failed else 0


if __name__ == "__main__":
    sys.exit(main())
