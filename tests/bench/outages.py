"""What outages a right survives: library, command and client-go on one API server in one run.

What docs/kubernetes.md records; not a test. `sh tests/run.sh kubernetes` builds what this needs; then:

    python3 tests/bench/outages.py [TTL_S …]
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/kubernetes"), str(ROOT / "tests/integration")]
from control_plane import ControlPlane, find  # noqa: E402
from relays import Wire  # noqa: E402
from support import MPSYNC, PROBE, Process  # noqa: E402

EACH = 4
SHARES = (0.4, 0.5, 0.55, 0.6, 0.7)
KINDS = (("refused", Wire.refuse), ("silent", Wire.silence))


class Setting:
    """One outage: its wire, and who holds a name of his own behind it, each at another moment of his interval."""

    def __init__(self, plane, ttl, kind, share):
        self.ttl, self.kind, self.share = ttl, kind, share
        self.wire = Wire(plane.port)
        certificate, key = plane.admin_pair
        self.config = plane.kubeconfig(
            f"{plane.folder}/{self.wire.port}", {"client-certificate": certificate, "client-key": key},
            cluster={"server": f"https://127.0.0.1:{self.wire.port}",
                     "certificate-authority": plane.certificates.ca})
        self.environment = {"MPSYNC_URL": f"kubernetes:?kubeconfig={self.config}", "MPSYNC_TTL": f"{ttl}s"}
        self.library, self.command, self.client_go = [], [], []

    def start(self, number):
        name = f"n{self.wire.port}-{number}"
        probe = Process([PROBE], self.environment)
        probe.expect("ready")
        probe.send(f"acquire l{name} -1")
        self.library.append((probe, f"l{name}"))
        self.command.append(Process([MPSYNC, "lock", f"c{name}", "--", "sh", "-c", "echo leads; exec sleep 600"],
                                    self.environment, subprocess.DEVNULL))
        self.client_go.append(Process([
            find("contender"), self.config, "default", f"g{name}", "bench", f"{self.ttl}s",
            f"{self.ttl * 2000 // 3}ms", f"{self.ttl * 2000 // 15}ms"], stderr=subprocess.DEVNULL))

    def await_all(self):
        for probe, name in self.library:
            probe.expect(f"held {name}")
        for process in self.command + self.client_go:
            while process.line() != "leads":
                pass

    def kept(self):
        library = 0
        for probe, name in self.library:
            probe.send(f"held {name}")
            library += probe.expect("is_held", "lost") == f"is_held {name} 1"
        return (library, sum(process.child.poll() is None for process in self.command),
                sum(process.child.poll() is None and "stopped" not in list(process.lines.queue)
                    for process in self.client_go))

    def end(self):
        for process in [probe for probe, _ in self.library] + self.command + self.client_go:
            process.end()
        self.wire.close()


def measure(plane, ttl):
    """The shorter the ttl, the fewer at once: what is measured is not how busy their start makes the machine."""
    settings = [(kind, share) for kind in KINDS for share in SHARES]
    at_once = max(1, ttl // 6)
    for first in range(0, len(settings), at_once):
        measure_some(ttl, [Setting(plane, ttl, *setting) for setting in settings[first:first + at_once]])


def measure_some(ttl, settings):
    for number in range(EACH):
        for setting in settings:
            setting.start(number)
        time.sleep(ttl / 6 / EACH)
    for setting in settings:
        setting.await_all()
    time.sleep(ttl)
    ends = []
    for setting in settings:
        setting.kind[1](setting.wire)
        ends.append((time.monotonic() + setting.share * ttl, setting))
    for end, setting in sorted(ends, key=lambda pair: pair[0]):
        time.sleep(max(0, end - time.monotonic()))
        setting.wire.restore()
    time.sleep(ttl)
    for setting in settings:
        print(f"| {ttl} s | {setting.share * ttl:.2f} s | {setting.kind[0]} | "
              + " | ".join(f"{kept} of {EACH}" for kept in setting.kept()) + " |", flush=True)
        setting.end()


def main(ttls):
    folder = tempfile.mkdtemp(prefix="mpsync-outages-")
    plane = ControlPlane(folder)
    plane.start()
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                if plane.is_ready():
                    break
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise SystemExit("the API server does not start")
            time.sleep(0.2)
        print("| ttl | outage | kind | library | command | client-go |\n|---|---|---|---|---|---|")
        for ttl in ttls:
            measure(plane, ttl)
    finally:
        plane.end()
        shutil.rmtree(folder, True)


if __name__ == "__main__":
    main([int(text) for text in sys.argv[1:]] or [6, 15, 30])
