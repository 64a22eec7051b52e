"""Runs the scenarios with each language's runner, and all languages at once on one name.

    MPSYNC_RUNNERS='{"c": ["build/bin/runner"]}' python3 -m unittest -v conformance
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, PATIENCE_S, Case, Process, free_port  # noqa: E402

SCENARIOS = json.loads((pathlib.Path(__file__).parent / "scenarios.json").read_text())
RUNNERS = json.loads(os.environ["MPSYNC_RUNNERS"])
FORKS = {"c", "python"}
TIMES = 25


class Actor:
    """One runner."""

    def __init__(self, name, command, environment):
        self.name = name
        self.process = Process(command, environment)

    def send(self, words):
        self.process.send("\t".join(words))

    def next(self):
        return self.process.line().split("\t")


class Scenario(Case):
    """Plays one scenario; a class for each place is made below."""

    store = None

    def setUp(self):
        super().setUp()
        self.actors = {}
        self.elector = None
        self.file = f"file:{self.folder}/locks.db"
        self.url = self.file
        if self.store == "elector":
            self.port = free_port()
            self.url = f"http://127.0.0.1:{self.port}"
            self.start_elector()

    def start_elector(self):
        self.elector = self.start(
            [MPSYNC, "elector", "--store", self.file, "--listen", f"127.0.0.1:{self.port}", "--allow-force"],
            stderr=subprocess.DEVNULL)
        while subprocess.run([MPSYNC, "doctor", "--url", self.url], capture_output=True).returncode:
            self.assertIsNone(self.elector.child.poll(), "the elector ended")

    def start(self, command, **how):
        process = Process(command, **how)
        self.addCleanup(process.end)
        return process

    def actor(self, name):
        if name not in self.actors:
            actor = Actor(name, self.runner_of(name), {"MPSYNC_URL": self.url, "MPSYNC_IDENTITY": name})
            self.addCleanup(actor.process.end)
            self.actors[name] = actor
        return self.actors[name]

    def play(self, steps, runner_of):
        self.runner_of = runner_of
        self.known = {"long": "n" * 1025}
        for number, step in enumerate(steps, 1):
            try:
                self.step(step)
            except (AssertionError, OSError) as problem:
                raise AssertionError(f"step {number}, {step!r}: {problem}") from problem

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
        """The next line is this; {one} {two} are lines that may come in either order."""
        wanted = re.findall(r"\{(.*?)\}", pattern) or [pattern]
        while wanted:
            line = actor.next()
            match = next((want for want in wanted if self.matches(want.split(" "), line)), None)
            self.assertIsNotNone(match, f"{actor.name} told {line}; expected {wanted}")
            wanted.remove(match)

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
        process = self.elector if who == "elector" else self.actors.pop(who).process
        process.end()

    def do_start(self, who):
        self.assertEqual(who, "elector")
        self.start_elector()

    def do_stop(self, who):
        self.actors[who].process.signal(subprocess.signal.SIGSTOP)

    def do_continue(self, who):
        self.actors[who].process.signal(subprocess.signal.SIGCONT)

    def do_end(self, who):
        child = self.actors.pop(who).process.child
        child.stdin.close()
        self.assertEqual(child.wait(PATIENCE_S), 0)

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
    needs = scenario.get("needs")
    return needs is None or needs == store or (needs == "fork" and set(languages) <= FORKS)


def alone(scenario, language):
    def test(self):
        self.play(scenario["steps"], lambda actor: RUNNERS[language])
    test.__doc__ = scenario["shows"]
    return test


def mixed(scenario, shift):
    """Actors a, b, c in three languages, each in its turn."""
    languages = sorted(RUNNERS)

    def test(self):
        self.play(scenario["steps"],
                  lambda actor: RUNNERS[languages[("abc".index(actor) + shift) % len(languages)]])
    test.__doc__ = scenario["shows"]
    return test


class Together(Scenario):
    """Every language and the command on one name."""

    def increments(self):
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


def load_tests(loader, _tests, _pattern):
    suite = unittest.TestSuite()
    for store in ("elector", "file"):
        for language in sorted(RUNNERS):
            tests = {f"test_{scenario['name']}": alone(scenario, language)
                     for scenario in SCENARIOS if applies(scenario, store, [language])}
            case = type(f"{language}_{store}", (Scenario,), {"store": store, **tests})
            suite.addTests(loader.loadTestsFromTestCase(case))
        if len(RUNNERS) > 1:
            tests = {f"test_{scenario['name']}": mixed(scenario, shift)
                     for shift, scenario in enumerate(SCENARIOS) if applies(scenario, store, RUNNERS)}
            tests["test_increments"] = Together.increments
            case = type(f"mixed_{store}", (Together,), {"store": store, **tests})
            suite.addTests(loader.loadTestsFromTestCase(case))
    return suite
