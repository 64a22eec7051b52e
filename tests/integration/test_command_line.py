"""mpsync: exit codes, turns, and a command that never outlives its right."""
import contextlib
import os
import pathlib
import pty
import signal
import subprocess
import unittest

from support import MPSYNC, PATIENCE_S, Case


class ExitCodes(Case):
    def test_the_commands_own(self):
        self.mpsync("lock", "x", "--", "sh", "-c", "exit 7", check=7)
        self.mpsync("lock", "x", "--", "sh", "-c", "kill -TERM $$", check=128 + 15)
        self.mpsync("lock", "x", "--", "/no/such/command", check=127)
        self.mpsync("lock", "x", "--", "/etc/passwd", check=126)

    def test_ttl_of_the_environment_or_the_url_is_long_enough_to_run(self):
        for url, environment in ((self.file_url, {"MPSYNC_TTL": "9s"}), (self.file_url + "?ttl=9s", {})):
            done = subprocess.run([MPSYNC, "lock", "x", "--", "true"], timeout=PATIENCE_S, check=False,
                                  env={**os.environ, **environment, "MPSYNC_URL": url})
            self.assertEqual(done.returncode, 0)

    def test_busy_is_121(self):
        done = self.mpsync("lock", "x", "--", MPSYNC, "lock", "x", "--wait", "0", "--", "true",
                           check=121)
        self.assertIn("is held by", done.stderr)

    def test_no_elector_is_122_and_says_how_to_start_one(self):
        done = self.mpsync("lock", "x", "--wait", "0", "--", "true",
                           url="http://127.0.0.1:1", check=122)
        self.assertIn("mpsync elector", done.stderr)

    def test_wrong_usage_is_125(self):
        for arguments in (["lock", "x"], ["lock", "--", "true"], ["nonsense"], ["lock", "x", "--ttl",
                          "soon", "--", "true"], ["release", "x"], ["ls", "--no-such"]):
            self.mpsync(*arguments, check=125)


class Command(Case):
    def test_it_is_told_what_it_holds(self):
        done = self.mpsync("lock", "a/b", "--", "sh", "-c", "echo $MPSYNC_NAME $MPSYNC_TOKEN")
        name, token = done.stdout.split()
        self.assertEqual(name, "a/b")
        self.assertGreater(int(token), 0)

    def test_two_hundred_processes_lose_no_increment(self):
        crowd = int(os.environ.get("MPSYNC_CROWD", 200))
        counter = pathlib.Path(self.folder, "counter")
        tokens = pathlib.Path(self.folder, "tokens")
        counter.write_text("0")
        step = f"n=$(cat {counter}); echo $((n+1)) > {counter}; echo $MPSYNC_TOKEN >> {tokens}"
        children = [subprocess.Popen(
            [MPSYNC, "lock", "inc", "--quiet", "--ttl", "5m", "--", "sh", "-c", step],
            env={**os.environ, "MPSYNC_URL": self.file_url}) for _ in range(crowd)]
        self.assertEqual([child.wait() for child in children], [0] * crowd)
        self.assertEqual(counter.read_text().strip(), str(crowd))
        seen = [int(line) for line in tokens.read_text().split()]
        self.assertEqual(len(set(seen)), crowd)
        self.assertEqual(seen, sorted(seen))

    def test_killed_mpsync_takes_its_command_along_before_the_next_starts(self):
        first = self.start([MPSYNC, "lock", "x", "--", "sh", "-c", "echo $$; exec sleep 1000"],
                           {"MPSYNC_URL": self.file_url})
        command = int(first.line())
        waiter = self.probe(self.file_url)
        waiter.send("acquire x -1")
        waiter.expect("waiting")
        first.signal(signal.SIGKILL)
        waiter.expect("held x")
        words = b""
        with contextlib.suppress(OSError):  # it is gone, or is just going
            words = pathlib.Path(f"/proc/{command}/cmdline").read_bytes()
        self.assertNotIn(b"sleep", words)

    def test_lost_right_stops_the_command(self):
        holder = self.start([MPSYNC, "lock", "x", "--", "sh", "-c",
                             "echo started; sleep 1000"], {"MPSYNC_URL": self.file_url})
        holder.expect("started")
        self.mpsync("release", "--force", "x", check=0)
        self.assertEqual(holder.child.wait(), 120)

    def test_leader_is_replaced_when_it_is_killed(self):
        candidates = [self.start([MPSYNC, "elect", "e", "--", "sh", "-c",
                                  "echo leading $MPSYNC_TOKEN; exec sleep 1000"],
                                 {"MPSYNC_URL": self.file_url}) for _ in range(1)]
        first = candidates[0].expect("leading")
        second = self.start([MPSYNC, "elect", "e", "--", "sh", "-c", "echo leading $MPSYNC_TOKEN"],
                            {"MPSYNC_URL": self.file_url})
        candidates[0].signal(signal.SIGKILL)
        self.assertGreater(int(second.expect("leading").split()[1]), int(first.split()[1]))
        self.assertEqual(second.child.wait(), 0)


class Terminal(Case):
    def on_terminal(self, *arguments):
        """mpsync with a terminal of its own. Returns its process number and our end of the terminal."""
        number, terminal = pty.fork()
        if number == 0:
            os.environ["MPSYNC_URL"] = self.file_url
            os.execv(MPSYNC, [MPSYNC, *arguments])
        self.addCleanup(os.close, terminal)
        return number, terminal

    def read_until(self, terminal, text):
        seen = b""
        while text not in seen:
            seen += os.read(terminal, 4096)
        return seen

    def test_command_has_the_terminal(self):
        number, terminal = self.on_terminal("lock", "x", "--", "sh", "-c", "read line; echo got $line; exit 3")
        os.write(terminal, b"typed\n")
        self.read_until(terminal, b"got typed")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), 3)

    def test_interrupt_reaches_the_command(self):
        number, terminal = self.on_terminal(
            "lock", "x", "--", "sh", "-c", "trap 'echo caught; exit 5' INT; echo ready; while :; do sleep 1; done")
        self.read_until(terminal, b"ready")
        os.write(terminal, b"\x03")
        self.read_until(terminal, b"caught")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), 5)

    def test_waiting_user_sees_for_whom(self):
        holder = self.start([MPSYNC, "lock", "x", "--identity", "the-other", "--", "cat"],
                            {"MPSYNC_URL": self.file_url})
        self.until(lambda: "the-other" in self.mpsync("ls").stdout)
        number, terminal = self.on_terminal("lock", "x", "--", "true")
        self.read_until(terminal, b"the-other")
        holder.child.stdin.close()
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(number, 0)[1]), 0)


class Looking(Case):
    def test_ls_status_doctor(self):
        self.assertIn("NAME", self.mpsync("ls", check=0).stdout)
        self.assertIn("is free", self.mpsync("status", "x", check=1).stdout)
        self.assertIn("ok", self.mpsync("doctor", check=0).stdout)
        done = self.mpsync("lock", "a\nb", "--", MPSYNC, "ls", check=0)
        self.assertIn("a\\x0ab", done.stdout)


class Files(Case):
    def refused(self, word, code=122):
        done = self.mpsync("ls", check=code)
        self.assertIn(word, done.stderr)

    def test_no_database(self):
        pathlib.Path(self.folder, "locks.db").write_bytes(b"not a database, " * 100)
        self.refused("not a database")

    def test_another_applications(self):
        subprocess.run(["sqlite3", f"{self.folder}/locks.db", "create table t(a)"], check=True)
        self.refused("another application")

    def test_newer_schema(self):
        self.mpsync("ls", check=0)
        subprocess.run(["sqlite3", f"{self.folder}/locks.db", "pragma user_version=99"], check=True)
        self.refused("newer version")

    def test_folder_that_cannot_be_made(self):
        self.file_url = "file:/proc/nowhere/locks.db"
        self.refused("make it first", 125)


if __name__ == "__main__":
    unittest.main()
