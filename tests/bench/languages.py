"""Prints what each language adds to C: is_held() and a hand-off between two processes through an elector.

    MPSYNC_RUNNERS='{"c": ["build/bin/runner"]}' python3 tests/bench/languages.py

`sh tests/run.sh conformance` builds the runners; `sh tests/bench/languages.sh` names them all.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, Process, free_port  # noqa: E402

RUNNERS = json.loads(os.environ["MPSYNC_RUNNERS"])
CALLS = 1_000_000
TURNS = 500
ROUNDS = 5


def start(command, url):
    runner = Process(command, {"MPSYNC_URL": url})
    runner.send("lock\t1\tbench\t-")
    assert runner.line() == "1\tok"
    return runner


def numbers(runner):
    return [int(word) for word in runner.line().split("\t")[2:]]


def speed(command, url):
    runner = start(command, url)
    runner.send(f"speed\t1\t{CALLS}")
    answer = numbers(runner)[0]
    runner.end()
    return answer


def hand_offs(command, url):
    """From one process's release to the other's grant, in microseconds, once both are warm."""
    pair = [start(command, url), start(command, url)]
    for runner in pair:
        runner.send(f"pass\t1\t{TURNS}")
    moments = []
    for which, runner in enumerate(pair):
        seen = numbers(runner)
        moments += [(held, which, "held") for held in seen[::2]]
        moments += [(released, which, "released") for released in seen[1::2]]
        runner.end()
    moments.sort()
    passed = [(after[0] - before[0]) / 1000 for before, after in zip(moments, moments[1:])
              if before[2] == "released" and after[2] == "held" and before[1] != after[1]]
    return sorted(passed[len(passed) // 5:])


def main():
    url = f"http://127.0.0.1:{free_port()}"
    elector = subprocess.Popen([MPSYNC, "elector", "--store", "memory:", "--listen", url[7:]], stderr=subprocess.DEVNULL)
    while subprocess.run([MPSYNC, "doctor", "--url", url], capture_output=True).returncode:
        time.sleep(0.01)
    passed = {language: [] for language in RUNNERS}
    held = {language: [] for language in RUNNERS}
    try:
        # Each language in each round, for the machine's own speed varies from one moment to another.
        for _ in range(ROUNDS):
            for language, command in RUNNERS.items():
                passed[language].append(hand_offs(command, url))
                held[language].append(speed(command, "memory:"))
        for language in RUNNERS:
            medians = [statistics.median(times) for times in passed[language]]
            every = sorted(sum(passed[language], []))
            print(f"{language}: is_held {statistics.median(held[language]):.0f} ns; hand-off median {statistics.median(every):.0f} us"
                  f" (rounds {min(medians):.0f} to {max(medians):.0f}), p99 {every[len(every) * 99 // 100]:.0f} us", flush=True)
    finally:
        elector.terminate()
        elector.wait()


main()
