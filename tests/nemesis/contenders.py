"""Programs that contend for one name, each killed, stopped and started again as a test likes."""
import contextlib
import itertools
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import threading

from history import now_ns

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("MPSYNC_BUILD", ROOT / "build"))
FOREVER = 2**62
HOLD_MS = 150

_numbers = itertools.count()


def descendants(pid):
    """The process and what it has started, itself first."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += descendants(int(child))
    return found


def signal_all(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Clocks:
    """Preloaded into a program: how fast its clocks run, and how far they are ahead."""

    def __init__(self, path, ppm):
        self.path = path
        self.ppm = ppm
        self.jump(0, 0)

    def jump(self, wall_ns, others_ns):
        with open(self.path, "r+b" if os.path.exists(self.path) else "w+b") as file:
            file.write(struct.pack("=qq", wall_ns, others_ns))

    def environment(self):
        return {"LD_PRELOAD": str(BUILD / "lib" / "clocks.so"), "MPSYNC_CLOCKS_PPM": str(self.ppm),
                "MPSYNC_CLOCKS_FILE": self.path}


class Contender:
    """One place among the contenders; whenever its program ends it is started again."""
    may_be_stopped = True

    def __init__(self, history, url, within=lambda command: command, clocks=None):
        self.history, self.url, self.within, self.clocks = history, url, within, clocks
        self.turns = 0
        self.wanted = True
        self.thread = threading.Thread(target=self._go_on, daemon=True)

    def command(self):
        return [str(BUILD / "bin" / "turns"), self.history.name, str(HOLD_MS), self.history.file]

    def start(self):
        self.thread.start()
        return self

    def _go_on(self):
        while self.wanted:
            self.number = next(_numbers)
            self._run_once(self.number)
            threading.Event().wait(0.05)

    def _run_once(self, number):
        environment = {**os.environ, "MPSYNC_URL": self.url, **(self.clocks.environment() if self.clocks else {})}
        self.process = subprocess.Popen(self.within(self.command()), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.history.log, env=environment, text=True)
        last = None
        for line in self.process.stdout:
            if line.endswith("\n"):
                last = self._take(number, line) or last
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        # It may have released, and been killed before it said so.
        if last and last[1] in ("acquired", "holds", "refused"):
            self.history.add(f"{number} ended {last[2]} {last[3]} {FOREVER}\n")

    def _take(self, number, line):
        self.history.add(f"{number} {line}")
        words = line.split()
        self.turns += words[0] == "acquired"
        return [number, *words]

    def kill(self):
        signal_all([self.process.pid], signal.SIGKILL)

    def victims(self):
        """What is stopped together."""
        return [self.process.pid]

    def state(self):
        """What its processes are doing, as ps tells it."""
        pids = ",".join(map(str, descendants(self.process.pid)))
        return subprocess.run(["ps", "-o", "pid=,stat=,wchan:20=,etimes=,args=", "-p", pids],
                              capture_output=True, text=True, check=False).stdout

    def end(self):
        """May be said twice. A program that was just being started when it was said is ended too."""
        self.wanted = False
        while self.thread.is_alive():
            everything = descendants(self.process.pid)
            signal_all(everything, signal.SIGCONT)
            signal_all(everything, signal.SIGKILL)
            self.thread.join(0.5)


class Python(Contender):
    """The Python binding, as installed by its tier."""

    def command(self):
        python = ROOT / "build" / "venv" / "bin" / "python"
        return [str(python), str(HERE / "turns.py"), self.history.name, str(HOLD_MS), self.history.file]


class Command(Contender):
    """`mpsync lock`: what it runs believes, for as long as it runs."""

    def command(self):
        return [str(BUILD / "bin" / "mpsync"), "lock", "--quiet", self.history.name, "--", sys.executable,
                str(HERE / "turn.py"), str(now_ns()), str(HOLD_MS), self.history.file]

    def ours(self):
        """mpsync and its keeper, without the command that they run."""
        return [pid for pid in descendants(self.process.pid) if self._is_mpsync(pid)]

    @staticmethod
    def _is_mpsync(pid):
        with contextlib.suppress(OSError):
            return os.readlink(f"/proc/{pid}/exe") == str((BUILD / "bin" / "mpsync").resolve())
        return False

    def kill(self):
        signal_all(self.victims(), signal.SIGKILL)

    def victims(self):
        """One of the two, whose work the other then has to do; stopped both they can do nothing."""
        ours = self.ours()
        return random.sample(ours, 1) if ours else []


class Foreign(Contender):
    """By another library, which fences itself by rules of its own: it may die, and not stand still."""
    may_be_stopped = False

    def __init__(self, history, words, within=lambda command: command):
        super().__init__(history, "", within)
        self.words = words

    def command(self):
        return self.words


class History:
    """All that was said of one name, in the order in which it was heard."""

    def __init__(self, folder, name):
        self.name = name
        self.file = f"{folder}/{name}.protected"
        self.log = open(f"{folder}/log", "ab")
        self.lines = []

    def add(self, line):
        self.lines.append(line)
