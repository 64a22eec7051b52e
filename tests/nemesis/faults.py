"""What goes wrong: each fault is begun, lasts a while, and is mended."""
import dataclasses
import random
import signal
import threading
import time
import typing

from contenders import signal_all


def nothing():
    pass


@dataclasses.dataclass
class Fault:
    """`begin` answers with what mends it."""
    name: str
    begin: typing.Callable
    longest_s: float = 0
    assumed: bool = True  # False: it breaks what the guarantees assume, so only tokens are judged


def kill_one(contenders):
    random.choice(contenders).kill()
    return nothing


def stop_one(contenders):
    pids = random.choice([one for one in contenders if one.may_be_stopped]).victims()
    return stop(pids)


def stop(pids):
    signal_all(pids, signal.SIGSTOP)
    return lambda: signal_all(pids, signal.SIGCONT)


def with_clocks(contenders):
    return [one for one in contenders if one.clocks]


def step_wall_clock(contenders):
    """Nobody relies on it: NTP may set it as it likes."""
    for one in with_clocks(contenders):
        one.clocks.jump(random.randrange(-3600, 3600) * 10**9, 0)
    return nothing


def jump_clock(contenders):
    """A machine that its hypervisor has paused, or restored."""
    one = random.choice(with_clocks(contenders))
    one.clocks.jump(0, random.randrange(-3000, 3000) * 10**6)
    return nothing


def of_contenders(contenders):
    faults = [Fault("kill a contender", lambda: kill_one(contenders)),
              Fault("stop a contender", lambda: stop_one(contenders), longest_s=4)]
    if with_clocks(contenders):
        faults.append(Fault("step wall clocks", lambda: step_wall_clock(contenders)))
        faults.append(Fault("jump a clock", lambda: jump_clock(contenders), assumed=False))
    return faults


class Weather:
    """Faults one after another, two at the same time at most, until it is told to end."""

    def __init__(self, faults, counts):
        self.faults, self.counts = faults, counts
        self.only_tokens = False
        self.mending = []

    def blow(self, until):
        while time.monotonic() < until:
            if len(self.mending) < 2:
                self._begin(random.choice(self.faults), until)
            threading.Event().wait(random.uniform(0.1, 1))
            self._mend(time.monotonic())
        self._mend(float("inf"))

    def _begin(self, fault, until):
        mend = fault.begin()
        self.counts[fault.name] += 1
        self.only_tokens |= not fault.assumed
        lasts_s = random.uniform(0.1, fault.longest_s) if fault.longest_s else 0
        self.mending.append((min(time.monotonic() + lasts_s, until), mend))

    def _mend(self, now):
        due = [mend for at, mend in self.mending if at <= now]
        self.mending = [(at, mend) for at, mend in self.mending if at > now]
        for mend in due:
            mend()
