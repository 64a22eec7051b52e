"""
mpsync around a command: whichever of its processes is killed or stopped, what the command started is
dead before anybody else holds the name; and signals and terminals are as without mpsync.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
import uuid

from processes import MPSYNC, PATIENCE_S, CommandCase, cgroup_of, children, hide_cgroups, own_cgroup, state

STUBBORN = 'trap "" TERM; setsid sh -c "trap \\"\\" TERM; sleep 1000; sleep 1000" & sleep 1000 & echo ready; wait'


class SurvivorCase(CommandCase):
    """No process that was started under the right runs when the next one holds the name."""

    # What is disturbed holds the name: also where a busy machine is long about what comes before.
    TTL = "15s"

    def begin(self, name, front):
        """A holder of this name with stubborn descendants, one who waits for it, and the mark of the descendants."""
        mark = uuid.uuid4().hex
        holder = self.run_under("lock", name, "--ttl", self.TTL, "--", "sh", "-c", STUBBORN, front=front, MARK=mark,
                                stderr=subprocess.DEVNULL)
        holder.expect("ready")
        rival = self.probe(self.file_url)
        rival.send(f"acquire {name} -1")
        rival.expect("waiting")
        self.until(lambda: len(self.marked(mark)) == 4)
        return mark, rival, self.find_own(holder.child.pid)

    def in_both_kinds_of_machine(self, disturb):
        """With a cgroup, if one is to be had, and without."""
        begun = [self.begin(name, front) for name, front in (("with", []), ("without", hide_cgroups()))]
        for _, _, own in begun:
            disturb(own)
        for mark, rival, own in begun:
            rival.expect("held")
            self.assertEqual(self.marked(mark), [])
            for pid in own.values():
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGCONT)

    def send(self, number, *names):
        def disturb(own):
            for name in names:
                os.kill(own[name], number)
        self.in_both_kinds_of_machine(disturb)


class Survivors(SurvivorCase):
    """Of those that are killed."""

    def test_keeper_is_killed(self):
        self.send(signal.SIGKILL, "keeper")

    def test_mpsync_is_killed(self):
        self.send(signal.SIGKILL, "mpsync")

    def test_guard_is_killed(self):
        self.send(signal.SIGKILL, "guard")

    def test_mpsync_and_keeper_are_killed(self):
        self.send(signal.SIGKILL, "mpsync", "keeper")

    def test_guard_and_keeper_are_killed(self):
        self.send(signal.SIGKILL, "guard", "keeper")

    def test_mpsync_and_guard_are_killed(self):
        self.send(signal.SIGKILL, "mpsync", "guard")

    def test_group_is_killed(self):
        self.in_both_kinds_of_machine(lambda own: os.killpg(own["mpsync"], signal.SIGKILL))

    def test_all_of_one_name_are_killed(self):
        """As killall and pkill choose them."""
        def disturb(own):
            for pid in own.values():
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "mpsync\n":
                    os.kill(pid, signal.SIGKILL)
        self.in_both_kinds_of_machine(disturb)

    def test_nobody_is_left_to_kill_the_command(self):
        """Stopped processes kill nobody: the command itself goes with its keeper."""
        holder = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; exec sleep 1000", front=hide_cgroups(),
                                stderr=subprocess.DEVNULL)
        holder.expect("ready")
        own = self.find_own(holder.child.pid)
        command = children(own["keeper"])[0]
        for name in ("mpsync", "guard"):
            os.kill(own[name], signal.SIGSTOP)
        os.kill(own["keeper"], signal.SIGKILL)
        self.until(lambda: state(command) is None)
        for name in ("mpsync", "guard"):
            os.kill(own[name], signal.SIGKILL)

    def test_keepers_death_is_no_proof_of_the_commands(self):
        """Neither on the file nor to an elector, on whatever kind of socket."""
        path = f"{self.folder}/elector.sock"
        elector = self.start([MPSYNC, "elector", "--store", "memory:", "--listen", path], {"HOME": self.folder},
                             subprocess.DEVNULL)
        self.until(lambda: self.mpsync("ls", url=f"http+unix://{path}").returncode == 0)
        for url in (self.file_url, f"http+unix://{path}", self.elector().url):
            with self.subTest(url=url):
                holder = self.run_under("lock", "x", "--ttl", "10m", "--", "sh", "-c", "echo ready; sleep 1000",
                                        MPSYNC_URL=url, stderr=subprocess.DEVNULL)
                holder.expect("ready")
                own = self.find_own(holder.child.pid)
                os.kill(own["guard"], signal.SIGSTOP)
                os.kill(own["keeper"], signal.SIGKILL)
                # Long enough to be answered: who is not knows nothing of a holder.
                self.mpsync("lock", "x", "--wait", "5s", "--", "true", url=url, check=121)
                os.kill(own["guard"], signal.SIGCONT)
                self.assertEqual(holder.child.wait(), 120)
        elector.end()


class SurvivorsOfStops(SurvivorCase):
    """Stopped processes kill nobody: others do, before the right ends."""

    def test_keeper_is_stopped(self):
        self.send(signal.SIGSTOP, "keeper")

    def test_mpsync_and_keeper_are_stopped(self):
        self.send(signal.SIGSTOP, "mpsync", "keeper")

    def test_guard_and_keeper_are_stopped(self):
        self.send(signal.SIGSTOP, "guard", "keeper")

    def test_group_is_stopped(self):
        self.in_both_kinds_of_machine(lambda own: os.killpg(own["mpsync"], signal.SIGSTOP))

    def test_keeper_is_stopped_and_guard_killed_after_it_acted(self):
        """A command that heeds SIGTERM is told by the guard, too."""
        said = pathlib.Path(self.folder, "said")
        holder = self.run_under("lock", "x", "--ttl", self.TTL, "--grace", "3s", "--", "sh", "-c",
                                f'trap "echo told >{said}; exit" TERM; echo ready; sleep 1000 & wait',
                                stderr=subprocess.PIPE)
        holder.expect("ready")
        own = self.find_own(holder.child.pid)
        os.kill(own["keeper"], signal.SIGSTOP)
        self.until(said.exists)
        os.kill(own["keeper"], signal.SIGCONT)
        self.assertEqual(holder.child.wait(), 120)
        self.assertIn("does not run", holder.child.stderr.read())
        holder.child.stderr.close()

    def test_stopped_mpsync_loses_nothing(self):
        holder = self.run_under("lock", "x", "--ttl", self.TTL, "--", "sh", "-c", "echo ready; sleep 1000")
        holder.expect("ready")
        holder.signal(signal.SIGSTOP)
        self.mpsync("lock", "x", "--wait", "20s", "--", "true", check=121)
        self.assertTrue(self.marked())

    def stop_outside_of_transactions(self, pid):
        """Who is stopped inside of one keeps the file from everybody."""
        def stopped():
            os.kill(pid, signal.SIGSTOP)
            if self.mpsync("lock", "another", "--wait", "0", "--", "true").returncode == 0:
                return True
            os.kill(pid, signal.SIGCONT)
            return False
        self.until(stopped)

    def test_command_does_not_begin_after_the_right_has_ended(self):
        """Its keeper was stopped between the grant and the beginning."""
        blocker = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; read line")
        blocker.expect("ready")
        waiter = self.run_under("lock", "x", "--ttl", "1s", "--", "sh", "-c", "echo ran", stderr=subprocess.DEVNULL)
        own = self.find_own(waiter.child.pid)
        self.until(lambda: " 1\n" in self.mpsync("ls").stdout)
        self.stop_outside_of_transactions(own["keeper"])
        blocker.send("go")
        blocker.child.wait()
        self.mpsync("lock", "x", "--", "true", check=0)
        os.kill(own["keeper"], signal.SIGCONT)
        waiter.child.wait()


class Descendants(CommandCase):
    """In a cgroup of these tests' own: every mpsync removes what it finds abandoned beside its own cgroup."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if not hide_cgroups():
            return
        here = own_cgroup()
        apart = here / f"descendants-{uuid.uuid4().hex}"
        apart.mkdir()
        cls.addClassCleanup(cls.leave, here, apart)
        cls.move_to(apart)

    @staticmethod
    def move_to(cgroup):
        (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    @classmethod
    def leave(cls, here, apart):
        cls.move_to(here)
        end = time.monotonic() + PATIENCE_S
        while apart.exists() and time.monotonic() < end:
            # What was killed may not have ended yet.
            with contextlib.suppress(OSError):
                for below in apart.glob("*/"):
                    below.rmdir()
                apart.rmdir()

    def test_they_are_in_a_cgroup_of_their_own_where_one_is_to_be_had(self):
        done = self.mpsync("lock", "x", "--", "cat", "/proc/self/cgroup", check=0)
        if hide_cgroups():
            self.assertRegex(done.stdout, "0::.*/mpsync-[0-9]+-0\n")
            self.assertFalse(cgroup_of(done.stdout).exists())

    def test_what_the_killed_left_is_removed_by_the_next(self):
        """And never the empty one of somebody who waits."""
        if not hide_cgroups():
            return
        show = "cat /proc/self/cgroup; exec sleep 1000"
        victim = self.run_under("lock", "x", "--", "sh", "-c", show, stderr=subprocess.DEVNULL)
        below = self.cgroup_of(victim)
        own = self.find_own(victim.child.pid)
        holder = self.run_under("lock", "y", "--", "sh", "-c", show, stderr=subprocess.DEVNULL)
        self.cgroup_of(holder)
        waiter = self.run_under("lock", "y", "--", "true", stderr=subprocess.DEVNULL)
        self.until(lambda: " 1\n" in self.mpsync("ls").stdout)
        for pid in (*children(own["keeper"]), own["keeper"], own["guard"], victim.child.pid):
            os.kill(pid, signal.SIGSTOP)
        for pid in (*children(own["keeper"]), own["keeper"], own["guard"], victim.child.pid):
            os.kill(pid, signal.SIGKILL)
        victim.child.wait()
        self.until(lambda: not [pid for pid in own.values() if state(pid)])
        self.assertTrue(below.exists())
        self.mpsync("lock", "z", "--", "true", check=0)
        self.assertFalse(below.exists())
        self.assertTrue(below.with_name(f"mpsync-{waiter.child.pid}-0").exists())

    def cgroup_of(self, process):
        """Of a command that begins with telling it."""
        line = process.line()
        while not line.startswith("0::"):
            line = process.line()
        return cgroup_of(line)

    def test_what_outlives_its_command_goes_on_by_itself(self):
        holder = self.run_under("lock", "x", "--", "sh", "-c", "sleep 1000 & echo $!", stderr=subprocess.DEVNULL)
        left = int(holder.line())
        self.assertEqual(holder.child.wait(), 0)
        self.mpsync("lock", "x", "--wait", "0", "--", "true", check=0)
        self.assertIsNotNone(state(left))
        self.assertNotIn("/mpsync-", pathlib.Path(f"/proc/{left}/cgroup").read_text())

    def test_wait_all_keeps_the_right_until_the_last_has_ended(self):
        go = pathlib.Path(self.folder, "go")
        os.mkfifo(go)
        holder = self.run_under("lock", "x", "--wait-all", "--", "sh", "-c",
                                f"setsid sh -c 'read line <{go}' </dev/null >/dev/null & echo $!; exit 5")
        left = int(holder.line())
        self.until(lambda: children(self.find_own(holder.child.pid)["keeper"]) == [left])
        self.mpsync("lock", "x", "--wait", "0", "--", "true", check=121)
        go.write_text("now\n")
        self.assertEqual(holder.child.wait(), 5)
        self.mpsync("lock", "x", "--wait", "0", "--", "true", check=0)

    def test_kill_all_ends_them_with_the_command(self):
        done = self.mpsync("lock", "x", "--kill-all", "--", "sh", "-c", STUBBORN.replace("wait", "exit 5"),
                           check=5, stdin=subprocess.DEVNULL)
        self.assertIn("ready", done.stdout)
        self.assertEqual(self.marked(), [])

    def test_another_users_process_that_cannot_be_stopped_is_named(self):
        """As sudo's: it runs with another user's real id."""
        program = shutil.copy(MPSYNC, self.folder)
        become_root = shutil.copy(shutil.which("setpriv"), f"{self.folder}/become-root")
        os.chmod(become_root, 0o4755)
        os.chmod(self.folder, 0o777)
        # Into a file: where lines are counted, that user's processes say of each file that they cannot write their counts.
        said = open(f"{self.folder}/said", "w+", encoding="utf-8")
        self.addCleanup(said.close)
        holder = self.start(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "lock", "x", "--",
             become_root, "--reuid=0", "sh", "-c", 'trap "" TERM; echo $$; sleep 1000 & wait'],
            {**self.environment, "MPSYNC_LOG": "warn"}, stderr=said)
        command = int(holder.line())
        self.mpsync("release", "--force", "x", check=0)
        self.assertEqual(holder.child.wait(), 120)
        self.assertIsNotNone(state(command))
        for pid in self.marked():
            os.kill(pid, signal.SIGKILL)
        self.until(lambda: not self.marked())
        self.assertRegex(pathlib.Path(said.name).read_text(), "belongs to another user and cannot be stopped")


class Containers(CommandCase):
    GRACEFUL = 'trap "echo bye; exit 3" TERM; echo ready; sleep 1000 & wait'

    def test_term_to_process_1_is_passed_on(self):
        outside = self.run_under("lock", "x", "--", "sh", "-c", self.GRACEFUL,
                                 front=["unshare", "-pf", "--mount-proc"])
        outside.expect("ready")
        os.kill(children(outside.child.pid)[0], signal.SIGTERM)
        outside.expect("bye")
        self.assertEqual(outside.child.wait(), 3)

    def test_process_1_reaps_what_others_left(self):
        outside = self.run_under(
            "lock", "x", "--", "sh", "-c",
            "echo ready; while grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null || ! grep -qs orphan /tmp/$MARK; do :; "
            "done; echo clean; rm /tmp/$MARK", front=["unshare", "-pf", "--mount-proc"])
        outside.expect("ready")
        init = str(children(outside.child.pid)[0])
        subprocess.run(["nsenter", "-t", init, "-p", "-m", "sh", "-c", f"(sleep 0.1; echo orphan >/tmp/{self.mark}) &"],
                       check=True)
        while (line := outside.line()) != "clean":
            self.assertIn("/proc/", line)
        self.assertEqual(outside.child.wait(), 0)

    def test_command_of_a_killed_mpsync_is_told_first(self):
        said = pathlib.Path(self.folder, "said")
        # The grace is what a busy machine may take to run a shell's trap: nobody waits for its end.
        holder = self.run_under("lock", "x", "--ttl", "5m", "--grace", "1m", "--", "sh", "-c",
                                f'trap "echo bye >{said}; exit 3" TERM; echo ready; sleep 1000 & wait',
                                stderr=subprocess.DEVNULL)
        holder.expect("ready")
        holder.signal(signal.SIGKILL)
        self.until(said.exists)
        self.until(lambda: not self.marked())
        self.mpsync("lock", "x", "--", "true", check=0)

    def test_under_a_subreaper_a_stubborn_command_is_stopped_with_its_mpsync(self):
        subreaper = ("import ctypes, subprocess, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0);"
                     "print(subprocess.Popen(sys.argv[1:]).pid, flush=True); input()")
        outside = self.run_under("lock", "x", "--", "sh", "-c", STUBBORN, stderr=subprocess.DEVNULL,
                                 front=[sys.executable, "-c", subreaper])
        mpsync = int(outside.line())
        outside.expect("ready")
        os.kill(mpsync, signal.SIGKILL)
        self.mpsync("lock", "x", "--", "true", check=0)
        self.until(lambda: [pid for pid in self.marked() if pid != outside.child.pid] == [])


class Signals(CommandCase):
    # Not a shell: a child that is forked, and has not forgotten the shell's traps yet, would answer as well.
    COUNTING = (sys.executable, "-c", "import os, signal\n"
                "signal.signal(signal.SIGTERM, lambda *_: os.write(1, b'term\\n'))\n"
                "signal.signal(signal.SIGUSR2, lambda *_: os.write(1, b'usr2\\n'))\n"
                "os.write(1, b'ready\\n')\nwhile True:\n    signal.pause()")

    def one_arrives(self, send, front=()):
        holder = self.run_under("lock", "x", "--", *self.COUNTING, front=front)
        holder.expect("ready")
        mpsync = children(holder.child.pid)[0] if front else holder.child.pid
        send(holder.child.pid, mpsync)
        holder.expect("term")
        os.kill(mpsync, signal.SIGUSR2)
        holder.expect("usr2")
        holder.end()

    def test_one_of_one(self):
        self.one_arrives(lambda _, mpsync: os.kill(mpsync, signal.SIGTERM))

    def test_one_of_a_group(self):
        self.one_arrives(lambda _, mpsync: os.killpg(mpsync, signal.SIGTERM))

    def test_one_of_a_group_however_late_mpsync_runs(self):
        """It is pending at mpsync, which says so when it has a processor again."""
        holder = self.run_under("lock", "x", "--", *self.COUNTING)
        holder.expect("ready")
        mpsync = holder.child.pid
        holder.signal(signal.SIGSTOP)
        self.until(lambda: state(mpsync) == "T")
        os.killpg(mpsync, signal.SIGTERM)
        holder.expect("term")
        keeper = children(children(mpsync)[0])[0]
        os.kill(keeper, signal.SIGUSR2)
        holder.expect("usr2")
        holder.signal(signal.SIGCONT)
        os.kill(mpsync, signal.SIGUSR2)
        holder.expect("usr2")
        holder.end()

    def test_one_under_timeout(self):
        self.one_arrives(lambda timeout, _: os.kill(timeout, signal.SIGTERM), front=["timeout", "1000"])

    def test_one_of_a_service_manager(self):
        """That sends it to every process of the service, one right after the other."""
        def send(_, mpsync):
            every, found = [], [mpsync]
            while found:
                every.append(found.pop(0))
                found += children(every[-1])
            names = {pid: pathlib.Path(f"/proc/{pid}/comm").read_text() for pid in every}
            for pid in [pid for pid in every if names[pid] != "sleep\n"]:
                os.kill(pid, signal.SIGTERM)
        self.one_arrives(send)

    def test_command_has_the_dispositions_and_the_mask_of_its_caller(self):
        def set_up():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTSTP])
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

        look = ["grep", "Sig[BIC]", "/proc/self/status"]
        for prepare in (set_up, None):
            direct = subprocess.run(look, preexec_fn=prepare, capture_output=True, text=True, check=True).stdout
            self.assertEqual(self.mpsync("lock", "x", "--", *look, preexec_fn=prepare, check=0).stdout, direct)

    def test_writer_ends_with_its_reader(self):
        done = self.mpsync("lock", "x", "--", "sh", "-c", "yes | head -1; while :; do echo y; done | head -1", check=0)
        self.assertEqual((done.stdout, done.stderr), ("y\ny\n", ""))
        script = self.write_script("endless", f"{MPSYNC} lock x -- sh -c 'while echo y; do :; done' | head -1; echo end")
        done = subprocess.run(["bash", script], capture_output=True, text=True, timeout=PATIENCE_S,
                              env={**os.environ, **self.environment}, check=True)
        self.assertEqual(done.stdout, "y\nend\n")

    def test_producer_ends_when_the_command_has_closed_its_input(self):
        """Nobody of ours keeps the other end of the command's pipes open."""
        script = self.write_script(
            "producer", f"(yes; echo producer ended >&2) | {MPSYNC} lock x -- sh -c 'exec <&-; read line </dev/fd/9'")
        gate_read, gate_write = os.pipe()
        runner = subprocess.Popen(["bash", "-c", f"exec 9<&{gate_read}; exec bash {script}"], pass_fds=[gate_read],
                                  stderr=subprocess.PIPE, text=True, env={**os.environ, **self.environment})
        while runner.stderr.readline() != "producer ended\n":
            self.assertIsNone(runner.poll())
        os.write(gate_write, b"go\n")
        self.assertEqual(runner.wait(), 0)
        runner.stderr.close()

    def test_nohup_is_in_force_while_waiting(self):
        blocker = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; read line")
        blocker.expect("ready")
        waiter = self.run_under("lock", "x", "--", "echo", "ran", front=["nohup"])
        self.until(lambda: " 1\n" in self.mpsync("ls").stdout)
        waiter.signal(signal.SIGHUP)
        blocker.send("go")
        waiter.expect("ran")
        self.assertEqual(waiter.child.wait(), 0)

    def test_stop_and_continue_of_the_command_are_followed(self):
        holder = self.run_under("lock", "x", "--", "sh", "-c", "echo $$; read line; exit 4")
        command = int(holder.line())
        os.kill(command, signal.SIGSTOP)
        self.until(lambda: state(holder.child.pid) == "T")
        os.kill(command, signal.SIGCONT)
        self.until(lambda: state(holder.child.pid) == "S")
        holder.send("go")
        self.assertEqual(holder.child.wait(), 4)

    def test_candidate_goes_on_after_reloads(self):
        """SIGHUP and SIGUSR1 are the command's, and no wish that the candidate should end."""
        leader = self.run_under("elect", "e", "--", "sh", "-c",
                                'trap "echo reloaded" HUP USR1; echo leads; while :; do sleep 1000 & wait $!; done',
                                stderr=subprocess.DEVNULL)
        leader.expect("leads")
        leader.signal(signal.SIGHUP)
        leader.expect("reloaded")
        leader.signal(signal.SIGUSR1)
        leader.expect("reloaded")
        self.mpsync("release", "--force", "e", check=0)
        leader.expect("leads")

    def test_waiting_candidate_is_not_ended_by_a_reload(self):
        blocker = self.run_under("lock", "e", "--", "sh", "-c", "echo ready; read line")
        blocker.expect("ready")
        waiter = self.run_under("elect", "e", "--", "echo", "leads")
        self.until(lambda: " 1\n" in self.mpsync("ls").stdout)
        waiter.signal(signal.SIGHUP)
        waiter.signal(signal.SIGUSR1)
        blocker.send("go")
        waiter.expect("leads")

    def test_candidate_that_was_asked_to_end_does_so_at_its_next_loss(self):
        leader = self.run_under("elect", "e", "--", "sh", "-c",
                                'trap "echo no" INT; echo leads; while :; do sleep 1000 & wait $!; done',
                                stderr=subprocess.DEVNULL)
        leader.expect("leads")
        leader.signal(signal.SIGINT)
        leader.expect("no")
        self.mpsync("release", "--force", "e", check=0)
        self.assertEqual(leader.child.wait(), 120)

    def test_waiter_dies_of_its_interrupt(self):
        blocker = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; read line")
        blocker.expect("ready")
        waiter = self.run_under("lock", "x", "--", "true")
        self.until(lambda: " 1\n" in self.mpsync("ls").stdout)
        waiter.signal(signal.SIGINT)
        self.assertEqual(waiter.child.wait(), -signal.SIGINT)


class Telling(CommandCase):
    def test_grace_that_does_not_fit_is_refused_with_the_ttl_that_would(self):
        done = self.mpsync("lock", "x", "--grace", "10s", "--", "true", check=125)
        self.assertIn("--ttl 50000ms", done.stderr)
        self.mpsync("lock", "x", "--grace", "10s", "--ttl", "50s", "--", "true", check=0)
        self.mpsync("lock", "x", "--grace", "1s", "--", "true", url=self.file_url + "?ttl=4s", check=125)

    def test_loss_by_time_says_what_since_when_and_why(self):
        elector = self.elector()
        holder = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; sleep 1000",
                                MPSYNC_URL=elector.url, stderr=subprocess.PIPE)
        holder.expect("ready")
        elector.signal(signal.SIGKILL)
        self.assertEqual(holder.child.wait(), 120)
        self.assertRegex(holder.child.stderr.read(),
                         r"x is being lost: no renewal was acknowledged since 20.*Z \([0-9]+\.[0-9] s\): .*127.0.0.1")
        holder.child.stderr.close()

    def test_wait_of_the_environment_and_of_the_url(self):
        blocker = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; read line")
        blocker.expect("ready")
        for url, more in ((self.file_url, {"MPSYNC_WAIT": "200ms"}), (self.file_url + "?wait=200ms", {})):
            done = subprocess.run([MPSYNC, "lock", "x", "--", "true"], timeout=PATIENCE_S, check=False, capture_output=True,
                                  env={**os.environ, **more, "MPSYNC_URL": url})
            self.assertEqual(done.returncode, 121)

    def test_identity_that_cannot_be_shown_is_refused_from_every_source(self):
        for bad in (b"a\nb", b"a\xff", b"a\xc2\x9bb", b"a\x7fb"):
            for arguments, variables in (([], {b"POD_NAME": bad}), ([], {b"MPSYNC_IDENTITY": bad}),
                                         ([b"--identity", bad], {})):
                done = subprocess.run([MPSYNC, "lock", *arguments, "x", "--", "true"], timeout=PATIENCE_S, check=False,
                                      capture_output=True, env={**os.environb, **variables,
                                                                b"MPSYNC_URL": self.file_url.encode()})
                self.assertEqual(done.returncode, 125, done.stderr)
                self.assertRegex(done.stderr, b"control character|not valid UTF-8")
        self.mpsync("lock", "x", "--", "true", url=self.file_url + "?identity=a%0Ab", check=125)

    def test_names_and_holders_do_nothing_to_a_terminal(self):
        for control in ("\x1b[31m", "\x7f", "\x9b31m"):
            name = f"a{control}b"
            done = self.mpsync("lock", name, "--", "sh", "-c",
                               f'{MPSYNC} ls; {MPSYNC} ls --json; {MPSYNC} status "$MPSYNC_NAME"; '
                               f'{MPSYNC} lock "$MPSYNC_NAME" --wait 0 -- true; '
                               f'{MPSYNC} release --force "$MPSYNC_NAME"; sleep 1000', check=120)
            self.assertNotIn(control, done.stdout + done.stderr)
            self.mpsync("status", name, check=1)

    def test_command_sees_where_its_lock_lives(self):
        there = pathlib.Path(self.folder, "a b")
        there.mkdir()
        done = self.mpsync("lock", "x", "--prefix", "p/", "--", "sh", "-c", "cd /; echo $MPSYNC_URL; " + MPSYNC + " ls",
                           url="file:a%20b/l.db?ttl=50s", cwd=self.folder, check=0)
        self.assertEqual(done.stdout.splitlines()[0], f"file:{self.folder}/a%20b/l.db?ttl=50s&prefix=p/")
        self.assertTrue(done.stdout.splitlines()[2].startswith("x "))

    def test_who_would_wait_for_itself_is_told(self):
        nested = ["lock", "b", "--", MPSYNC, "lock", "a", "--", "echo", "ran"]
        done = self.mpsync("lock", "a", "--", MPSYNC, *nested, check=121)
        self.assertEqual(done.stdout, "")
        self.assertIn("a is held by yourself", done.stderr)

    def test_stale_word_of_a_right_keeps_nobody_out(self):
        """What the environment says of a grant that has ended."""
        done = self.mpsync("lock", "x", "--", "env", check=0)
        old = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("MPSYNC_"))
        blocker = self.run_under("lock", "x", "--identity", old["MPSYNC_HOLDER"], "--", "sh", "-c",
                                 "echo ready; read line")
        blocker.expect("ready")
        waiter = self.run_under("lock", "x", "--", "echo", "ran", **old)
        self.until(lambda: " 1\n" in self.mpsync("ls").stdout)
        blocker.send("go")
        waiter.expect("ran")

    def test_full_output_is_an_error(self):
        for arguments in (["ls"], ["ls", "--json"], ["status", "x"], ["doctor"], ["help"], ["version"],
                          ["lock", "--help"], ["elector", "--help"]):
            with open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([MPSYNC, *arguments], stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE_S,
                                      check=False, env={**os.environ, "MPSYNC_URL": self.file_url})
            # Nothing is written where nothing is held.
            self.assertEqual(done.returncode, 0 if arguments == ["ls", "--json"] else 125, arguments)


class ListeningPaths(CommandCase):
    def elector_on(self, path):
        return self.start([MPSYNC, "elector", "--store", "memory:", "--listen", str(path)],
                          {"HOME": self.folder}, subprocess.PIPE)

    def refused(self, path):
        elector = self.elector_on(path)
        self.assertNotEqual(elector.child.wait(), 0)
        self.assertIn(str(path), elector.child.stderr.read())
        elector.child.stderr.close()

    def test_file_and_link_are_left_alone(self):
        file = pathlib.Path(self.folder, "file")
        file.write_text("precious")
        link = pathlib.Path(self.folder, "link")
        link.symlink_to("file")
        self.refused(file)
        self.refused(link)
        self.assertEqual(file.read_text(), "precious")
        self.assertTrue(link.is_symlink())

    def test_socket_that_somebody_listens_on_is_left_alone(self):
        path = pathlib.Path(self.folder, "socket")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            self.refused(path)
            self.assertTrue(path.is_socket())

    def test_abandoned_socket_is_replaced_and_only_the_own_removed(self):
        path = pathlib.Path(self.folder, "socket")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
        elector = self.elector_on(path)
        self.until(lambda: self.mpsync("ls", url=f"http+unix://{path}").returncode == 0)
        path.unlink()
        path.write_text("somebody else's")
        elector.signal(signal.SIGTERM)
        elector.child.wait()
        elector.child.stderr.close()
        self.assertEqual(path.read_text(), "somebody else's")


if __name__ == "__main__":
    unittest.main()
