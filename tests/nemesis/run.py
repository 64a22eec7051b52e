#!/usr/bin/env python3
"""Real programs over real stores, whatever happens to either; what each believed is judged.

    run.py --store file|elector|etcd|kubernetes|all --seconds N [--seed N] [--fault NAME]

Contenders of all kinds take turns at one name while faults come and go (faults.py, stores.py). A round
later the faults end, each has to have one more turn, and the history is judged: no two believed at the same
moment, by one clock of the machine; tokens rose, also at a file that each holder writes; some order of
all steps exists. Where a fault was outside of what docs/guarantees.md assumes, tokens alone are judged.

It runs in namespaces of its own (processes, mounts, network), and leaves nothing behind but its folder
where something was wrong. The same seed draws the same faults, not the same moments.
"""
import argparse
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STORES = ("file", "elector", "etcd", "kubernetes")
# Its end is the end of all that runs in it; and it ends with us.
NAMESPACES = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--net", "--fork",
              "--kill-child", "--mount-proc"]
PATIENCE_S = int(os.environ.get("MPSYNC_PATIENCE_S", 300))
SETTLING_S = 10
LEAST_WEATHER_S = 5
PROGRAMS = {
    "NEMESIS_JUDGE": ("tests/etcd/linearizable", "."),
    "NEMESIS_ETCD_MUTEX": ("tests/etcd/contender", "./turns"),
    "NEMESIS_CLIENT_GO": ("tests/kubernetes/go", "./turns"),
}


def build():
    """Go's programs, while there is a network."""
    go = os.environ.get("MPSYNC_GO", "go")
    for variable, (folder, package) in PROGRAMS.items():
        program = ROOT / "build" / "nemesis" / variable
        program.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([go, "build", "-o", str(program), package], cwd=ROOT / folder, check=True)
        os.environ[variable] = str(program)
    if not (ROOT / "build" / "venv" / "bin" / "python").exists():
        raise SystemExit("nemesis: no Python binding: sh tests/run.sh python installs it")


def everybody_takes_part(contenders):
    """Before the first fault, that it may hit somebody; not judged."""
    end = time.monotonic() + SETTLING_S
    while time.monotonic() < end and not all(one.turns for one in contenders):
        threading.Event().wait(0.05)


def everybody_goes_on(contenders):
    """After the last fault each has a turn, and leaves: no store is fair to all kinds, and the last is alone."""
    goals = {one: one.turns + 1 for one in contenders}
    end = time.monotonic() + PATIENCE_S
    while goals and time.monotonic() < end:
        threading.Event().wait(0.05)
        for one in [one for one, goal in goals.items() if one.turns >= goal]:
            del goals[one]
            if goals:
                one.end()
    for one in goals:
        yield f"{type(one).__name__} {one.number} at {one.url} has no turn any more: {one.state()}"


class Run:
    def __init__(self, store, folder, only):
        self.store, self.folder, self.only = store, folder, only
        self.faults, self.beliefs, self.rounds, self.wrong = collections.Counter(), 0, 0, []

    def round(self, until):
        from contenders import History
        from faults import Weather, of_contenders
        from judge import judge
        self.rounds += 1
        history = History(self.folder, f"round-{self.rounds}")
        contenders = [one.start() for one in self.store.contenders(history)]
        faults = of_contenders(contenders) + self.store.faults(history.name)
        # Most rounds stay within what is assumed, and are judged by everything.
        wild = random.random() < 0.2
        weather = Weather([fault for fault in faults if (wild or fault.assumed) and self.is_wanted(fault)], self.faults)
        everybody_takes_part(contenders)
        weather.blow(max(until, time.monotonic() + LEAST_WEATHER_S))
        stuck = list(everybody_goes_on(contenders))
        if stuck:
            stuck.append(self.store.state(history.name))
        for one in contenders:
            one.end()
        found, wrong = judge(history.lines, weather.only_tokens, os.environ["NEMESIS_JUDGE"], self.folder)
        self.beliefs += len(found)
        self.take(history, stuck + wrong)

    def is_wanted(self, fault):
        return not self.only or fault.name in self.only

    def take(self, history, wrong):
        if wrong:
            pathlib.Path(self.folder, f"{history.name}.history").write_text("".join(history.lines))
        for what in wrong:
            print(f"WRONG in {history.name}: {what}", flush=True)
        self.wrong += wrong

    def go_on(self, end):
        while time.monotonic() < end - 2 or not self.rounds:
            self.round(min(end, time.monotonic() + self.store.round_s))


def on_one_store(name, seconds, seed, only):
    sys.path.insert(0, str(HERE))
    import stores
    random.seed(f"{seed} {name}")
    for command in (["ip", "link", "set", "lo", "up"], ["mkdir", "-p", "/run/netns"],
                    ["mount", "-t", "tmpfs", "names", "/run/netns"]):
        subprocess.run(command, check=True)
    folder = tempfile.mkdtemp(prefix=f"mpsync-nemesis-{name}-")
    store = stores.STORES[name](folder)
    run = Run(store, folder, only)
    try:
        end = time.monotonic() + seconds
        store.start()
        run.go_on(end)
    finally:
        store.end()
    faults = ", ".join(f"{count} × {fault}" for fault, count in sorted(run.faults.items()))
    print(f"{name}: seed {seed}: {run.rounds} rounds, {run.beliefs} beliefs, {len(run.wrong)} wrong; {faults}", flush=True)
    if run.wrong:
        print(f"see {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def on_all_stores(names, seconds, seed, only):
    """Side by side, each in namespaces of its own."""
    faults = [word for fault in only for word in ("--fault", fault)]
    command = [*NAMESPACES, sys.executable, __file__, "--seconds", str(seconds), "--seed", str(seed), *faults,
               "--inside", "--store"]
    running = [subprocess.Popen([*command, name]) for name in names]
    return max(process.wait() for process in running)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", choices=(*STORES, "all"), default="all")
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--fault", action="append", default=[], help="only this one (may be repeated)")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.inside:
        return on_one_store(chosen.store, chosen.seconds, chosen.seed, chosen.fault)
    build()
    return on_all_stores(STORES if chosen.store == "all" else [chosen.store], chosen.seconds, chosen.seed, chosen.fault)


if __name__ == "__main__":
    sys.exit(main())
