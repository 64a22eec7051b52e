"""What a process id proves to a contender of one file: the end of that very process, and nothing else."""
import os
import pathlib
import select
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import PROBE, Case  # noqa: E402


class Descriptors(Case):
    """What the kernel answers, on which the library relies."""

    def test_descriptor_of_a_process_is_readable_once_it_has_ended(self):
        """Also while it is a zombie, whose number is not free yet."""
        child = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(child.wait)
        descriptor = os.pidfd_open(child.pid)
        self.addCleanup(os.close, descriptor)
        self.assertFalse(readable(descriptor))
        child.send_signal(signal.SIGSTOP)
        self.assertFalse(readable(descriptor))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertTrue(readable(descriptor))

    def test_number_of_nobody_is_refused(self):
        child = subprocess.Popen(["true"])
        child.wait()
        with self.assertRaises(ProcessLookupError):
            os.pidfd_open(child.pid)


def readable(descriptor):
    return bool(select.select([descriptor], [], [], 0)[0])


class Contenders(Case):
    def hold(self, prefix=()):
        holder = self.start([*prefix, PROBE], {"MPSYNC_URL": self.file_url, "MPSYNC_TTL": "1h"})
        holder.expect("ready")
        holder.send("acquire x -1")
        holder.expect("held x")
        return holder

    def attempt(self, prefix=()):
        """What one try comes to, without any waiting."""
        rival = self.start([*prefix, PROBE], {"MPSYNC_URL": self.file_url, "MPSYNC_TTL": "1h"})
        rival.expect("ready")
        rival.send("acquire x 0")
        return rival.expect("held x", "busy x").split()[0]


class Holders(Contenders):
    def test_zombie_is_dead(self):
        """Killed, and not waited for by its parent."""
        holder = self.hold()
        holder.signal(signal.SIGKILL)
        os.waitid(os.P_PID, holder.child.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual(self.attempt(), "held")

    def test_stopped_process_lives(self):
        holder = self.hold()
        holder.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, holder.child.pid, os.WSTOPPED | os.WNOWAIT)
        self.assertEqual(self.attempt(), "busy")


class Namespaces(Contenders):
    """Holder or rival in a namespace of process ids of its own, as in a container."""

    def setUp(self):
        super().setUp()
        first = self.start(["unshare", "--pid", "--fork", "--mount-proc", "--kill-child",
                            "sh", "-c", "echo there; exec sleep 100000"])
        first.expect("there")
        init = pathlib.Path(f"/proc/{first.child.pid}/task/{first.child.pid}/children").read_text().strip()
        self.inside = ["nsenter", "--target", init, "--pid", "--mount"]

    def test_holder_inside_is_not_judged_by_a_number_outside(self):
        self.hold(self.inside)
        self.assertEqual(self.attempt(), "busy")

    def test_holder_outside_is_not_judged_by_a_number_inside(self):
        self.hold()
        self.assertEqual(self.attempt(self.inside), "busy")

    def test_another_process_with_the_same_number_is_not_the_holder(self):
        holder = self.hold(self.inside)
        number = self.kill_inside(holder)
        impostor = self.start([*self.inside, "sh", "-c",
                               f"echo {number - 1} > /proc/sys/kernel/ns_last_pid; sleep 100000 & echo $!; wait"])
        self.assertEqual(int(impostor.line()), number)
        self.assertEqual(self.attempt(self.inside), "held")

    def kill_inside(self, holder):
        """Kills it and waits until its number, which is told, is free."""
        outer = self.child_of(holder)
        status = pathlib.Path(f"/proc/{outer}/status").read_text().splitlines()
        number = next(int(line.split()[-1]) for line in status if line.startswith("NSpid:"))
        os.kill(int(outer), signal.SIGKILL)
        holder.child.wait()
        return number

    @staticmethod
    def child_of(process):
        """`nsenter --pid` runs the program as its child."""
        return pathlib.Path(f"/proc/{process.child.pid}/task/{process.child.pid}/children").read_text().strip()
