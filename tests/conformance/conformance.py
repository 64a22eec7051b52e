"""Runs the scenarios with each language's runner, and all languages at once on one name.

    MPSYNC_RUNNERS='{"c": ["build/bin/runner"]}' python3 -m unittest -v conformance
"""
import json
import os
import pathlib
import queue
import re
import shlex
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from places import PLACES, Elector, File  # noqa: E402
from support import MPSYNC, PATIENCE_S, Process  # noqa: E402

SCENARIOS = json.loads((pathlib.Path(__file__).parent / "scenarios.json").read_text())
RUNNERS = json.loads(os.environ["MPSYNC_RUNNERS"])
# What languages are, for scenarios that not all can play.
ARE = {
    "fork": {"c", "python", "rust"},
    "scopes": {"python", "asyncio", "rust"},
    "collector": {"node", "java", "mono", "dotnet", "go"},
    "c": {"c"},
    "exits": {"c", "python", "asyncio", "node", "java", "mono", "dotnet", "rust"},
    "no hook": {"go"},
    "lead": {"c", "python", "asyncio", "node", "java", "mono", "dotnet", "rust", "go"},  # those whose runner has all of README.md's commands
}
TIMES = 25
# Where a scenario names no ttl, none of its rights ends by itself, however slow the machine is: each must be given back.
TTL = "5m"


class Actor:
    """One runner."""

    def __init__(self, name, command, environment):
        self.name = name
        self.process = Process(command, environment)

    def send(self, words):
        self.process.send("\t".join(words))

    def next(self):
        return self.process.line().split("\t")


class Scenario:
    """Plays one scenario; a class for each place is made below."""

    environment = {}

    def setUp(self):
        super().setUp()
        self.actors = {}

    def actor(self, name):
        if name not in self.actors:
            actor = Actor(name, self.runner_of(name),
                          {"MPSYNC_URL": self.url, "MPSYNC_IDENTITY": name, "MPSYNC_TTL": TTL, **self.environment})
            self.addCleanup(actor.process.end)
            self.actors[name] = actor
        return self.actors[name]

    def play(self, scenario, runner_of):
        self.runner_of = runner_of
        self.environment = scenario.get("environment", {})
        self.known = {"long": "n" * 1025}
        for number, step in enumerate(scenario["steps"], 1):
            try:
                self.step(step)
            except (AssertionError, OSError, queue.Empty) as problem:
                raise AssertionError(f"step {number}, {step!r}: {problem!r}") from problem

    def step(self, step):
        told = re.fullmatch(r"(\w+)> (.*)", step)
        asked = re.fullmatch(r"(\w+): (.*)", step)
        compared = re.fullmatch(r"\$(\w+) ([<=]) \$(\w+)", step)
        if told:
            self.expect(self.actor(told[1]), told[2])
        elif asked:
            self.actor(asked[1]).send([self.meaning(word) for word in shlex.split(asked[2])])
        elif compared:
            one, other = int(self.known[compared[1]]), int(self.known[compared[3]])
            self.assertTrue(one < other if compared[2] == "<" else one == other, (one, other))
        else:
            verb, *words = step.split(" ")
            getattr(self, "do_" + verb)(*words)

    def meaning(self, word):
        return self.known[word[1:]] if word.startswith("$") else word

    def expect(self, actor, pattern):
        """The next line is this, or comes after some that tell why it waits; {one} {two}: in either order."""
        wanted = re.findall(r"\{(.*?)\}", pattern) or [pattern]
        last = time.monotonic() + PATIENCE_S
        while wanted:
            self.assertLess(time.monotonic(), last, f"{actor.name} only waits; expected {wanted}")
            line = actor.next()
            match = next((want for want in wanted if self.matches(want.split(" "), line)), None)
            if match:
                wanted.remove(match)
            elif "waits" not in line:
                self.fail(f"{actor.name} told {line}; expected {wanted}")

    def matches(self, wanted, line):
        if len(wanted) != len(line):
            return False
        for want, word in zip(wanted, line):
            if want.startswith("$"):
                self.known[want[1:]] = word
            elif want.startswith("@"):
                if not word.startswith(want[1:]):
                    return False
            elif want != word:
                return False
        return True

    def do_kill(self, who):
        process = self.server if who == "elector" else self.actors.pop(who).process
        process.end()

    def do_start(self, who):
        self.assertEqual(who, "elector")
        self.start_elector()

    def do_stop(self, who):
        self.process_of(who).signal(subprocess.signal.SIGSTOP)

    def do_continue(self, who):
        self.process_of(who).signal(subprocess.signal.SIGCONT)

    def process_of(self, who):
        return self.cluster[0].process if who == "etcd" else self.actors[who].process

    def do_end(self, who):
        self.actors[who].process.child.stdin.close()
        self.do_gone(who)

    def do_gone(self, who):
        self.assertEqual(self.actors.pop(who).process.child.wait(PATIENCE_S), 0)

    def do_exit(self, who):
        """It waits for a second at most: where all is so slow, nothing is shown."""
        began = time.monotonic()
        self.actors[who].send(["exit"])
        self.do_gone(who)
        if time.monotonic() - began >= 1:
            self.skipTest(f"the end of {who} took longer than it waits for a store")

    def do_cuts(self, who, key, times):
        """Cuts a wait for what is free, at another moment each time, and asks again at once."""
        actor = self.actor(who)
        for turn in range(int(times)):
            self.acquire_and_cut(actor, key, turn)
            told = actor.next()
            if told != [key, "cut"]:
                self.assertEqual(told[:2], [key, "held"])
                actor.send(["release", key])
                self.assertEqual(actor.next(), [key, "released"])

    def do_cuts_of_waits(self, who, key, times):
        """The same, of what another holds."""
        actor = self.actor(who)
        for turn in range(int(times)):
            self.acquire_and_cut(actor, key, turn)
            self.assertEqual(actor.next(), [key, "cut"])

    def acquire_and_cut(self, actor, key, turn):
        actor.send(["acquire", key, "-1"])
        threading.Event().wait(turn % 10 * 0.0003)
        actor.send(["cut", key])

    def do_force(self, name):
        subprocess.run([MPSYNC, "release", "--force", name, "--url", self.url], check=True, capture_output=True)

    def do_waiters(self, name, count):
        """Until that many wait, as the store shows it."""
        last = time.monotonic() + PATIENCE_S
        while True:
            lines = subprocess.run([MPSYNC, "ls", "--json", "--url", self.url], check=True, capture_output=True,
                                   text=True).stdout.splitlines()
            locks = {lock["metadata"]["name"]: lock["status"] for lock in map(json.loads, lines)}
            if int(locks.get(name, {}).get("waiters", 0)) == int(count):
                return
            self.assertLess(time.monotonic(), last, f"{name}: {locks}")


def applies(scenario, store, languages):
    if store not in scenario.get("stores", ["file", "elector"]):
        return False
    return all(set(languages) <= ARE[need] for need in scenario.get("needs", []))


def alone(scenario, language):
    def test(self):
        self.play(scenario, lambda actor: RUNNERS[language])
    test.__doc__ = scenario["shows"]
    return test


def mixed(scenario, shift):
    """Actors a, b, c in three languages, each in its turn."""
    languages = sorted(RUNNERS)

    def test(self):
        self.play(scenario,
                  lambda actor: RUNNERS[languages[("abc".index(actor) + shift) % len(languages)]])
    test.__doc__ = scenario["shows"]
    return test


class Together:
    """Every language and the command on one name."""

    def test_increments(self):
        number = f"{self.folder}/number"
        pathlib.Path(number).write_text("0")
        self.runner_of = lambda name: RUNNERS[name]
        for language in RUNNERS:
            actor = self.actor(language)
            actor.send(["lock", "1", "shared", "-"])
            self.assertEqual(actor.next(), ["1", "ok"])
        for language in RUNNERS:
            self.actors[language].send(["count", "1", number, str(TIMES)])
        script = f'for i in $(seq {TIMES}); do "$0" lock shared --quiet -- sh -c \'' \
            f'echo $(( $(cat "{number}") + 1 )) >"{number}"; echo "turn $MPSYNC_TOKEN"\'; done'
        command = Process(["sh", "-c", script, MPSYNC], {"MPSYNC_URL": self.url})
        self.addCleanup(command.end)
        tokens = []
        for actor in self.actors.values():
            own = [int(actor.next()[2]) for _ in range(TIMES)]
            self.assertEqual(own, sorted(own), f"{actor.name}'s tokens rise")
            self.assertEqual(actor.next(), ["1", "done"])
            tokens += own
        tokens += [int(command.line().split()[1]) for _ in range(TIMES)]
        self.assertEqual(command.child.wait(PATIENCE_S), 0)
        self.assertEqual(len(tokens), len(set(tokens)), "no token was given twice")
        self.assertEqual(pathlib.Path(number).read_text().strip(), str(TIMES * (len(RUNNERS) + 1)))


def cases():
    """A class for each language at each place, and one for all of them."""
    for place in PLACES:
        for language in sorted(RUNNERS):
            tests = {f"test_{scenario['name']}": alone(scenario, language)
                     for scenario in SCENARIOS if applies(scenario, place.store, [language])}
            yield type(f"{language}_{place.store}", (Scenario, place), tests)
        if len(RUNNERS) > 1:
            tests = {f"test_{scenario['name']}": mixed(scenario, shift)
                     for shift, scenario in enumerate(SCENARIOS) if applies(scenario, place.store, RUNNERS)}
            together = (Together,) if place in (File, Elector) else ()
            yield type(f"mixed_{place.store}", (*together, Scenario, place), tests)


# By these names they are found.
globals().update({case.__name__: case for case in cases()})
