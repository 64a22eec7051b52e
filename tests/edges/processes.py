"""What the tests of the command share: its processes, terminals, and machines without a cgroup to be had."""
import contextlib
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, PATIENCE_S, Case  # noqa: E402


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def state(pid):
    """The letter of /proc/PID/stat; None: it has ended, or is a zombie."""
    try:
        letter = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return None
    return None if letter in "ZX" else letter


def cgroup_mount():
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            return line.split()[4]
    return None


def cgroup_of(text):
    """The folder of the cgroup that this text of /proc/PID/cgroup names."""
    return pathlib.Path(cgroup_mount() + next(line[3:] for line in text.splitlines() if line.startswith("0::")))


def own_cgroup():
    return cgroup_of(pathlib.Path("/proc/self/cgroup").read_text())


def hide_cgroups():
    """For the front of a command line: where this runs, no cgroup is to be had."""
    mount = cgroup_mount()
    return ["unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {mount}; exec "$@"', "sh"] if mount else []


class CommandCase(Case):
    def setUp(self):
        super().setUp()
        self.mark = uuid.uuid4().hex
        self.environment = {"MPSYNC_URL": self.file_url, "MARK": self.mark}

    def marked(self, mark=None):
        """Living processes of this test's commands: mpsync's own do not count."""
        mark = (mark or self.mark).encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                if (mark in (entry / "environ").read_bytes() and state(int(entry.name))
                        and not os.readlink(entry / "exe").startswith(MPSYNC)):
                    found.append(int(entry.name))
        return found

    def tearDown(self):
        for pid in self.marked():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        super().tearDown()

    def run_under(self, *arguments, front=(), stderr=None, **environment):
        """mpsync with these arguments; `mpsync`, `guard`, `keeper` are filled by `find_own`."""
        return self.start([*front, MPSYNC, *arguments], {**self.environment, **environment}, stderr)

    def find_own(self, mpsync):
        """The processes of ours, once the keeper has begun."""
        own = {"mpsync": mpsync}

        def complete():
            for name, parent in (("guard", "mpsync"), ("keeper", "guard")):
                found = children(own[parent])
                if not found:
                    return False
                own[name] = found[0]
            return True

        self.until(complete)
        return own

    def write_script(self, name, text):
        path = pathlib.Path(self.folder, name)
        path.write_text(text)
        return str(path)


class Screen:
    """A terminal: what is typed into it, and what was seen on it."""

    def __init__(self, command, environment):
        # setsid, not a fork of this process: its threads may hold locks that the child would wait for.
        self.terminal, other_end = pty.openpty()
        self.child = subprocess.Popen(["setsid", "--ctty", *command], stdin=other_end, stdout=other_end, stderr=other_end,
                                      env={**os.environ, **environment})
        os.close(other_end)
        self.number = self.child.pid
        self.seen = ""
        self.changed = threading.Condition()
        self.closed, self.closing = os.pipe()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            while self.closed not in select.select([self.terminal, self.closed], [], [])[0]:
                data = os.read(self.terminal, 4096)
                with self.changed:
                    self.seen += data.decode(errors="replace")
                    self.changed.notify()

    def type(self, text):
        os.write(self.terminal, text.encode())

    def line(self, text):
        self.type(text + "\n")

    def expect(self, pattern):
        """What matches, and forgets all up to it."""
        with self.changed:
            found = self.changed.wait_for(lambda: re.search(pattern, self.seen), PATIENCE_S)
            if not found:
                raise AssertionError(f"{pattern!r} never came; there is {self.seen!r}")
            self.seen = self.seen[found.end():]
            return found

    def end_code(self):
        return self.child.wait()

    def kill(self):
        self.child.kill()
        self.child.wait()

    def close(self):
        """After its reader has ended, which would otherwise read from the next terminal of that number."""
        if not self.closing:
            return
        os.close(self.closing)
        self.closing = None
        self.reader.join()
        os.close(self.closed)
        os.close(self.terminal)


class ScreenCase(CommandCase):
    def screen(self, *command, **environment):
        screen = Screen(command, {**self.environment, "PATH": f"{pathlib.Path(MPSYNC).parent}:{os.environ['PATH']}",
                                  "TERM": "dumb", **environment})
        self.addCleanup(screen.close)
        return screen

    def bash(self):
        """An interactive shell with job control; its prompt is `$N`, N counting up."""
        screen = self.screen("bash", "--norc", "--noprofile", "-i", PS1="ready> ", HISTFILE="/dev/null")
        self.addCleanup(screen.kill)
        screen.expect("ready> ")
        return screen
