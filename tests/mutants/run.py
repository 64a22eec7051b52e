#!/usr/bin/env python3
"""Mistakes at the edges, each of which a named test must notice.

    run.py                    every mutant, after all of those tests have passed without any
    run.py --bindings, --core those of the bindings' sources, whose tiers have been run; those of core/
    run.py --sample SECONDS   some of them, by a seed that is printed (--seed N takes it again)
    run.py --only ID…         these
    run.py --first-sight      those that nobody has looked at yet: every test that could notice them
    run.py --list             who notices what
    run.py --table            the same as docs/mutants.md has it

A mutant is kept as function and text in one of the lists beside this file, so that files may move.
"""
import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from mutants import ROOT, Misplaced, load, place
from tests import all_of

WORKERS = int(os.environ.get("MPSYNC_MUTANT_WORKERS", os.cpu_count() + 1))
LIMIT_S = int(os.environ.get("MPSYNC_MUTANT_LIMIT_S", 120))
# What says nothing of the code, where it happens without any mistake.
TOO_SLOW = ("hangs", "too slow")
# Its end is the end of all that runs in it; and it ends with us.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--net", "--fork",
              "--kill-child", "--mount-proc"]
WORLD = [sys.executable, str(pathlib.Path(__file__).resolve().parent / "world.py")]


@dataclasses.dataclass
class Verdict:
    outcome: str  # killed, SURVIVED, NOT BUILDABLE, NOT FOUND
    detail: str = ""


def build():
    """What the tests of core/ need; what those of a binding need, its tier has built."""
    for preset in ("debug", "asan"):
        for command in (["cmake", "-G", "Ninja", "--preset", preset, "-DBUILD_TESTING=ON"],
                        ["cmake", "--build", "--preset", preset]):
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def in_a_world(tests, file=None, content=None, limit_s=LIMIT_S):
    """The last that the world said; "hangs" if it had to be ended, "too slow" if that was before the test began."""
    with tempfile.TemporaryDirectory(prefix="mpsync-mutant-") as folder:
        order = json.dumps({"folder": folder, "tests": tests, "file": file and str(file), "content": content})
        with subprocess.Popen([*NAMESPACES, *WORLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as world:
            nothing = {"outcome": "nothing", "said": "no world could be made"}
            try:
                said, _ = world.communicate(order, timeout=limit_s)
            except subprocess.TimeoutExpired:
                world.kill()
                said, _ = world.communicate()
                nothing = {"outcome": "too slow", "said": f"it was not built within {limit_s} s"}
    lines = said.splitlines()
    return json.loads(lines[-1]) if lines else nothing


def judge(mutant, first_sight, sampled):
    """
    Its verdict. Of a sample, the test of a binding has to pass without any mistake first, as its title changes more easily
    than the name of a program; and there is none where the machine is too slow to tell.
    """
    if sampled and mutant.language and mutant.killed_by:
        end = in_a_world([mutant.killed_by])
        if end["outcome"] in TOO_SLOW:
            return None
        if end["outcome"] != "passes":
            return Verdict("FAILS ANYHOW", f"{mutant.killed_by}: {end.get('said', '')[-2000:]}")
    try:
        file, content = place(mutant)
    except Misplaced as problem:
        return Verdict("NOT FOUND", str(problem))
    broad = first_sight or not mutant.killed_by
    tests = all_of(file) if broad else [mutant.killed_by]
    end = in_a_world(tests, file, content, LIMIT_S * (8 if broad else 1))
    where = file.relative_to(ROOT)
    if end["outcome"] in ("fails", "hangs"):
        return Verdict("killed", f"{where}: {end['outcome']}: {end['test']}")
    if end["outcome"] == "passes":
        return Verdict("SURVIVED", f"{where}: {mutant.killed_by}")
    if sampled and end["outcome"] == "too slow":
        return None
    return Verdict(end["outcome"].upper(), end["said"][-2000:])


def without_any(mutants):
    """Those tests that fail by themselves would notice nothing."""
    tests = sorted({mutant.killed_by for mutant in mutants if mutant.killed_by})
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        ends = dict(zip(tests, pool.map(lambda test: in_a_world([test]), tests)))
    for test, end in ends.items():
        if end["outcome"] != "passes":
            print(f"FAIL  without any mistake: {test}: {end['outcome']}\n{end.get('said', '')[-2000:]}", flush=True)
    return all(end["outcome"] == "passes" for end in ends.values())


def judge_all(mutants, first_sight, end_at):
    """Yields each with its verdict; none is begun when the time is over."""
    def one(mutant):
        if end_at is not None and time.monotonic() > end_at:
            return mutant, None
        return mutant, judge(mutant, first_sight, sampled=end_at is not None)
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        for work in concurrent.futures.as_completed([pool.submit(one, mutant) for mutant in mutants]):
            if work.result()[1]:
                yield work.result()


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bindings", action="store_true")
    parser.add_argument("--core", action="store_true")
    parser.add_argument("--sample", type=int, metavar="SECONDS")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--only", nargs="+", metavar="ID", default=[])
    parser.add_argument("--first-sight", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def is_chosen(mutant, chosen):
    if chosen.only:
        return mutant.id in chosen.only
    if chosen.core if mutant.language else chosen.bindings:
        return False
    if chosen.sample and "resourcelock/" in mutant.killed_by:
        return False  # all of client-go would have to be compiled
    if chosen.first_sight:
        return not mutant.killed_by and not mutant.survives
    return chosen.list or mutant.killed_by != ""


def cell(text):
    return text.replace("|", "\\|")


def table():
    """Markdown: an area after the other."""
    areas = {}
    for mutant in load():
        areas.setdefault(mutant.area, []).append(mutant)
    lines = [
        "# Mistakes that tests must notice", "",
        "Mistakes of the kind that a tired hand makes, one at a time, at the edges: files, processes, sockets and servers, "
        "and the bindings of the languages. Those of the pure core are in [the guarantees](guarantees.md). Made by `python3 tests/mutants/run.py --table`; "
        "`python3 tests/mutants/run.py` makes each mistake and runs the test that stands beside it. "
        "Where no test could notice a mistake, it is said why."]
    for area, mutants in sorted(areas.items()):
        known = sum(mutant.killed_by != "" for mutant in mutants)
        lines += ["", f"## {area.capitalize()}: {known} of {len(mutants)} are noticed",
                  "| | in | mistake | noticed by |", "|---|---|---|---|"]
        for mutant in mutants:
            noticed = f"`{mutant.killed_by}`" if mutant.killed_by else f"not: {mutant.survives}" if mutant.survives else "?"
            lines.append(f"| {mutant.id} | `{mutant.function or mutant.file}` | {cell(mutant.reason)} | {cell(noticed)} |")
    return "\n".join(lines)


def main():
    chosen = options()
    if chosen.table:
        print(table())
        return 0
    mutants = [mutant for mutant in load() if is_chosen(mutant, chosen)]
    if chosen.list:
        for mutant in mutants:
            print(f"{mutant.id}: {mutant.function}: {mutant.reason}: {mutant.killed_by or mutant.survives or '?'}")
        return 0
    started = time.monotonic()
    if not all(mutant.language for mutant in mutants):
        build()
    end_at = None
    if chosen.sample:
        print(f"seed {chosen.seed}", flush=True)
        random.Random(chosen.seed).shuffle(mutants)
        end_at = started + chosen.sample - LIMIT_S
    elif not chosen.first_sight and not without_any(mutants):
        return 1
    killed = judged = 0
    for mutant, verdict in judge_all(mutants, chosen.first_sight, end_at):
        judged += 1
        killed += verdict.outcome == "killed"
        print(f"{verdict.outcome}  {mutant.id}: {mutant.reason}: {verdict.detail}", flush=True)
    print(f"{killed} of {judged} killed, {len(mutants) - judged} not looked at")
    return 0 if killed == judged else 1


if __name__ == "__main__":
    sys.exit(main())
