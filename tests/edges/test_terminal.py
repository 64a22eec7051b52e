"""
mpsync under real terminals: it and its command are one job of the shell, in the foreground or not, in
pipelines, stopped and continued; and the terminal is the command's as it would be without mpsync.
"""
import contextlib
import os
import pathlib
import signal
import subprocess
import unittest

from processes import MPSYNC, ScreenCase, state


class Jobs(ScreenCase):
    def test_background_job_leaves_the_shell_its_terminal(self):
        shell = self.bash()
        shell.line("mpsync lock x -- sleep 1000 & sleep 0; echo here $((40+2))")
        shell.expect("here 42")
        self.until(self.marked_sleeps)
        shell.line("jobs; echo there $((41+2))")
        shell.expect("Running.*mpsync lock x")
        shell.expect("there 43")
        shell.line("kill %1; wait %1; echo code $?")
        shell.expect("code 143")

    def marked_sleeps(self):
        return [pid for pid in self.marked() if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]

    def test_stopped_job_goes_on_in_background_and_foreground(self):
        shell = self.bash()
        shell.line("mpsync lock x -- sh -c 'echo runs $((40+2)); read line </dev/tty; echo got $line'")
        shell.expect("runs 42")
        shell.type("\x1a")
        shell.expect("Stopped")
        # Whoever still reads from the terminal would get what is typed for the shell.
        self.until(lambda: all(state(pid) == "T" for pid in self.readers()))
        shell.line("bg; echo back $((41+2))")
        shell.expect("back 43")
        # In the background it may not read from the terminal: it is stopped again.
        self.until(lambda: self.job_is_stopped(shell))
        shell.line("fg")
        shell.expect("mpsync lock x")
        shell.line("typed")
        shell.expect("got typed")
        shell.line("echo code $?")
        shell.expect("code 0")

    def readers(self):
        return [pid for pid in self.of_this_test() if "read line" in self.words(pid) and "mpsync" not in self.words(pid)]

    def words(self, pid):
        with contextlib.suppress(OSError):
            return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        return ""

    def job_is_stopped(self, shell):
        shell.line("jobs; echo looked $((40+4))")
        return "Stopped" in shell.expect("(?s).*looked 44").group()

    def test_waiter_that_is_stopped_does_not_begin(self):
        blocker = self.run_under("lock", "x", "--", "sh", "-c", "echo ready; read line")
        blocker.expect("ready")
        ran = pathlib.Path(self.folder, "ran")
        shell = self.bash()
        shell.line(f"mpsync lock x -- sh -c 'echo yes >{ran}; echo runs $((40+2))'")
        shell.expect("is held by")
        shell.type("\x1a")
        shell.expect("Stopped")
        shell.line("echo here $((41+2))")
        shell.expect("here 43")
        blocker.send("go")
        blocker.child.wait()
        self.until(lambda: "x " in self.mpsync("ls").stdout)
        self.until(lambda: "T" in [state(pid) for pid in self.of_this_test()])
        self.assertFalse(ran.exists())
        shell.line("fg")
        shell.expect("runs 42")
        shell.expect("ready> ")

    def of_this_test(self):
        """All that has the mark, with those of mpsync."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def test_interrupt_ends_a_loop(self):
        shell = self.bash()
        shell.line("for i in 1 2 3; do mpsync lock l -- sh -c 'echo turn $((40+2)); exec sleep 1000'; done; echo over")
        shell.expect("turn 42")
        shell.type("\x03")
        shell.expect("ready> ")
        shell.line("echo code $? $((41+2))")
        shell.expect("code 130 43")
        self.assertNotIn("turn", shell.seen)

    def test_interrupt_ends_a_loop_of_a_script(self):
        script = self.write_script("loop", "for i in 1 2 3; do mpsync lock l -- sh -c 'echo turn; exec sleep 1000'; done")
        shell = self.bash()
        shell.line(f"bash {script}")
        shell.expect("turn\r")
        shell.type("\x03")
        shell.expect("ready> ")
        shell.line("echo code $?")
        shell.expect("code 130")

    def test_interrupt_arrives_once(self):
        shell = self.bash()
        shell.line("mpsync lock x -- sh -c 'trap \"echo INT $((40+2))\" INT; trap \"echo MARK\" USR1; "
                   "trap \"echo USR2; exit 5\" USR2; "
                   "echo runs $((40+2)); while :; do sleep 1000 & wait $!; done' 2>/dev/null")
        shell.expect("runs 42")
        mpsync = next(pid for pid in self.of_this_test()
                      if pathlib.Path(f"/proc/{pid}/stat").read_text().split()[3] == str(shell.number))
        for _ in range(5):
            shell.type("\x03")
            shell.expect("INT 42")
            os.kill(mpsync, signal.SIGUSR1)
            self.assertNotIn("INT 42", shell.expect("(?s).*MARK").group())
        os.kill(mpsync, signal.SIGUSR2)
        shell.expect("USR2")
        shell.line("echo code $?")
        shell.expect("code 5")


class Redirections(ScreenCase):
    """The terminal is the command's whatever became of its descriptors."""

    READ = "read line </dev/tty; echo got $line"

    def reads(self, line):
        shell = self.bash()
        shell.line(line + "; echo code $?")
        shell.expect("asks 42")
        shell.line("typed")
        shell.expect("got typed")
        shell.expect("code 0")

    def test_errors_into_a_file(self):
        self.reads(f"mpsync lock x -- sh -c 'echo asks $((40+2)); {self.READ}' 2>/dev/null")

    def test_input_from_a_pipe(self):
        self.reads(f"echo data | mpsync lock x -- sh -c 'cat; echo asks $((40+2)); {self.READ}'")

    def test_output_into_a_pager(self):
        self.reads(f"mpsync lock x -- echo hi | (cat; echo asks $((40+2)); {self.READ})")

    def test_password_prompt(self):
        """It changes the terminal's modes, as only the foreground may."""
        self.reads("mpsync lock x -- bash -c 'echo asks $((40+2)); read -s line </dev/tty; echo got $line' 2>/dev/null")

    def test_shell_as_the_command(self):
        """It makes jobs of its own, and gives the terminal back."""
        shell = self.bash()
        shell.line("mpsync lock x -- env PS1='inner> ' bash --norc -i")
        shell.expect("\ninner> ")
        shell.line("sleep 1000 | cat")
        self.until(lambda: [pid for pid in self.marked() if pathlib.Path(f"/proc/{pid}/comm").read_text() == "sleep\n"])
        shell.type("\x03")
        shell.line("exit 7")
        shell.expect("ready> ")
        shell.line("echo code $?")
        shell.expect("code 7")


class Sessions(ScreenCase):
    def test_leader_of_a_session_without_a_shell(self):
        """As `script` starts it: nobody could continue what Ctrl-Z stopped, so nothing is stopped."""
        screen = self.screen("script", "-qec", "mpsync lock x -- sh -c 'echo runs; read line; echo got $line; exit 6'",
                             "/dev/null")
        screen.expect("runs")
        screen.type("\x1a")
        screen.line("typed")
        screen.expect("got typed")
        self.assertEqual(screen.end_code(), 6)

    def test_end_of_the_terminal_ends_the_waiter_and_the_command(self):
        screen = self.screen("mpsync", "lock", "x", "--", "sh", "-c", "echo runs; sleep 1000")
        screen.expect("runs")
        os.kill(screen.number, signal.SIGHUP)
        self.assertEqual(screen.end_code(), 128 + signal.SIGHUP)
        self.until(lambda: not self.marked())

    def test_tmux(self):
        socket = f"{self.folder}/tmux"
        environment = {**os.environ, **self.environment, "PATH": f"{pathlib.Path(MPSYNC).parent}:{os.environ['PATH']}"}

        def tmux(*arguments):
            return subprocess.run(["tmux", "-S", socket, *arguments], env=environment, check=True, capture_output=True,
                                  text=True).stdout

        def shown(text):
            return tmux("capture-pane", "-p").count(text)

        # What is typed before the shell reads would be echoed twice: by the terminal and by the shell.
        tmux("-f", "/dev/null", "new-session", "-d", "-x", "300", "-y", "20", "bash --norc -i")
        self.addCleanup(subprocess.run, ["tmux", "-S", socket, "kill-server"], check=False, capture_output=True)
        self.until(lambda: shown("bash-") == 1)
        tmux("send-keys", "mpsync lock x -- sh -c 'echo runs $((40+2)); read line; echo got $line' 2>/dev/null", "Enter")
        self.until(lambda: shown("runs 42") == 1)
        tmux("send-keys", "C-z")
        self.until(lambda: shown("Stopped") == 1 and shown("bash-") == 2)
        tmux("send-keys", "fg", "Enter")
        self.until(lambda: shown("mpsync lock x") == 3)
        tmux("send-keys", "typed", "Enter")
        self.until(lambda: shown("got typed") == 1)


if __name__ == "__main__":
    unittest.main()
