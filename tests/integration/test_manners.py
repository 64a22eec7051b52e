"""The command's manners: help, messages, columns, JSON, waiting and completion, as people and scripts meet them."""
import json
import os
import pty
import re
import subprocess
import time
import unittest

from support import BUILD, MPSYNC, PATIENCE_S, ROOT, Case, free_port

COMMANDS = ("lock", "elect", "ls", "watch", "status", "release", "doctor", "version", "elector")


class Help(Case):
    def test_every_command_explains_itself(self):
        for command in COMMANDS:
            texts = [self.mpsync(*words, check=0) for words in
                     ([command, "--help"], [command, "-h"], ["help", command])]
            self.assertEqual({done.stderr for done in texts}, {""}, command)
            self.assertEqual(len({done.stdout for done in texts}), 1, command)
            text = texts[0].stdout
            self.assertTrue(text.startswith(f"usage: mpsync {command} "), command)
            for part in ("\noptions:\n", "-h, --help", "\nexamples:\n"):
                self.assertIn(part, text, command)
            self.assertLessEqual(max(map(len, text.splitlines())), 110, command)

    def test_help_names_every_command(self):
        for words in (["--help"], ["-h"], ["help"]):
            done = self.mpsync(*words, check=0)
            for command in COMMANDS:
                self.assertRegex(done.stdout, rf"(?m)^  {command} ")
        self.assertIn("usage:", self.mpsync(check=125).stderr)

    def test_version(self):
        version = self.mpsync("version", check=0).stdout
        self.assertRegex(version, r"^mpsync \d+\.\d+\.\d+\n$")
        for words in (["-V"], ["--version"], *([command, "-V"] for command in COMMANDS)):
            self.assertEqual(self.mpsync(*words, check=0).stdout, version, words)

    def test_every_option_is_in_the_help_and_the_manual(self):
        options = re.findall(r"^\| `([a-z_`, ]+)` \|", (ROOT / "docs" / "options.md").read_text(), re.MULTILINE)
        names = [name.replace("_", "-") for row in options for name in re.findall("[a-z_]+", row)]
        self.assertGreater(len(names), 15)
        text = self.mpsync("lock", "--help").stdout
        for name in names:
            self.assertIn(f"--{name} ", text)
        manual = (ROOT / "docs" / "mpsync.1").read_text()
        pages = {command: (ROOT / "docs" / f"{page}.md").read_text() for command, page in
                 [*((command, "command-line") for command in COMMANDS), ("elector", "elector")]}
        for command in COMMANDS:
            for flag in re.findall(r"^  (?:-., )?--([a-z-]+)", self.mpsync(command, "--help").stdout, re.MULTILINE):
                self.assertRegex(manual, rf"Fl -{flag}\b", command)
                if flag not in (*names, "help", "version"):
                    self.assertRegex(pages[command], rf"`--{flag}\b", command)


class Usage(Case):
    def test_what_cannot_be_meant_is_125_and_says_so(self):
        for words, said in (
                (["lock", "x"], "no command"),
                (["lock", "--", "true"], "missing NAME"),
                (["lock", "x", "y", "--", "true"], '"y" is one argument too many'),
                (["lock", "x", "--no-such", "--", "true"], "no option"),
                (["lock", "x", "-x", "--", "true"], "-x"),
                (["lock", "x", "--wait"], "needs a value"),
                (["lock", "x", "--quiet=yes", "--", "true"], "takes no value"),
                (["lock", "x", "--ttl", "soon", "--", "true"], "not a duration"),
                (["lock", "x", "--ttl", "1001h", "--", "true"], "too long"),
                (["lock", "x", "--wait-all", "--grace", "1001h", "--", "true"], "too long"),
                (["lock", "x", "true", "--wait", "0"], "--wait"),
                (["lock", "x", "true", "--ttl=3s"], "--ttl=3s"),
                (["lock", "x", "--url", "memory:", "--", "true"], "memory:"),
                (["elect", "x", "--url", "memory:", "--", "true"], "memory:"),
                (["lock", "x", "--once", "--", "true"], "lock has no option --once"),
                (["ls", "--grace", "1s"], "ls has no option --grace"),
                (["ls", "x"], '"x" is one argument too many'),
                (["ls", "--", "true"], "takes no command"),
                (["status"], "missing NAME"),
                (["release", "x"], "--force"),
                (["nonsense"], "no command"),
                (["elector", "--no-such"], "no option"),
                (["elector", "x"], '"x"'),
                (["elector", "--max-waiters", "many"], "many"),
                (["elector", "--log", "loud"], "loud"),
                (["elector", "--store", "nonsense:"], "no place for locks")):
            done = self.mpsync(*words, check=125)
            self.assertIn(said, done.stderr, words)
            self.assertEqual(done.stdout, "", words)
            self.assertTrue(all(line.startswith("mpsync: ") for line in done.stderr.splitlines()), done.stderr)

    def test_wrong_url_or_option_of_the_environment_is_125(self):
        for command in (["lock", "x", "--", "true"], ["elect", "x", "--", "true"], ["ls"], ["status", "x"],
                        ["watch", "x"], ["release", "--force", "x"], ["doctor"]):
            for name, value in (("URL", "nonsense:"), ("TTL", "soon"), ("LOG", "loud"), ("IDENTITY", "a\nb")):
                done = subprocess.run([MPSYNC, *command], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                                      env={**os.environ, "MPSYNC_URL": self.file_url, f"MPSYNC_{name}": value})
                self.assertEqual(done.returncode, 125, (command, name, done.stderr))
                self.assertTrue(done.stderr.startswith("mpsync: "), done.stderr)

    def test_command_needs_no_dashes_where_nothing_is_ambiguous(self):
        for words in (["lock", "x", "echo", "-n", "a"], ["lock", "--ttl", "50s", "x", "echo", "-n", "a"],
                      ["lock", "x", "--ttl", "50s", "echo", "-n", "a"], ["lock", "x", "--", "echo", "-n", "a"],
                      ["elect", "x", "echo", "-n", "a"]):
            self.assertEqual(self.mpsync(*words, check=0).stdout, "a", words)
        self.assertIn("Usage", self.mpsync("lock", "x", "env", "--help", check=0).stdout)


class Terminal(Case):
    def on_terminal(self, *words, **variables):
        """What it prints on a terminal, and its exit code."""
        ours, theirs = pty.openpty()
        environment = {**os.environ, "MPSYNC_URL": self.file_url, "TERM": "xterm", "NO_COLOR": "", **variables}
        with subprocess.Popen([MPSYNC, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as child:
            os.close(theirs)
            seen = b""
            while True:
                try:
                    part = os.read(ours, 4096)
                except OSError:
                    break
                if not part:
                    break
                seen += part
            code = child.wait()
        os.close(ours)
        return seen.decode().replace("\r\n", "\n"), code

    def hold(self, *names):
        for name in names:
            holder = self.start([MPSYNC, "lock", name, "--identity", "the holder", "--", "sh", "-c",
                                 "echo ready; read line"], {"MPSYNC_URL": self.file_url})
            holder.expect("ready")

    def test_columns_are_aligned_by_what_is_printed(self):
        self.hold("a", "a long name", "größer", "名前")
        text, code = self.on_terminal("ls", NO_COLOR="1")
        self.assertEqual(code, 0)
        self.assertNotIn("\t", text)
        lines = text.splitlines()
        self.assertEqual(len(lines), 5)
        type_column = lines[0].index("TYPE")
        for line in lines[1:]:
            wide = sum(character in "名前" for character in line[:type_column])
            self.assertEqual(line[type_column - wide:].split()[0], "lock", line)

    def test_status_is_aligned_as_lists_are(self):
        self.hold("a name that is longer than its title")
        lines = self.on_terminal("status", "a name that is longer than its title", NO_COLOR="1")[0].splitlines()
        self.assertEqual(lines[1][lines[0].index("TYPE"):].split()[0], "lock", lines)

    def test_changes_are_aligned_as_they_come(self):
        """Each row of `watch` is printed before anybody knows the next one."""
        self.hold("a", "another/name")
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        watch = subprocess.Popen([MPSYNC, "ls", "--watch"], stdin=theirs, stdout=theirs, stderr=theirs,
                                 env={**os.environ, "MPSYNC_URL": self.file_url})
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        os.close(theirs)
        seen = ""
        while seen.count("\n") < 2:
            seen += os.read(ours, 4096).decode()
        first, second = seen.splitlines()[:2]
        self.assertNotIn("\t", seen)
        self.assertEqual(first.index("the holder"), second.index("the holder"), seen)
        self.assertEqual(re.search(r"(?<= )\d+ ", first).start(), re.search(r"(?<= )\d+ ", second).start(), seen)

    def test_pipe_gets_one_blank_between_columns(self):
        self.hold("a", "a long name")
        lines = self.mpsync("ls", check=0).stdout.splitlines()
        self.assertEqual(lines[0], "NAME TYPE HOLDER SINCE EXPIRES TOKEN WAITERS")
        time_form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
        for line, name in zip(lines[1:], ("a", r"a\x20long\x20name")):
            self.assertRegex(line, rf"^{re.escape(name)} lock the\\x20holder {time_form} {time_form} \d+ 0$")
        status = self.mpsync("status", "a", check=0).stdout.splitlines()
        self.assertEqual(status[0], lines[0])
        self.assertEqual(status[1].split(" ")[:3], lines[1].split(" ")[:3])
        watch = self.start([MPSYNC, "watch", "a"], {"MPSYNC_URL": self.file_url})
        self.assertRegex(watch.line(), rf"^{time_form} a the\\x20holder \d+ -$")

    def test_colours_are_for_terminals_alone(self):
        self.hold("a")
        for words in (["ls"], ["status", "a"], ["doctor"]):
            self.assertIn("\x1b[", self.on_terminal(*words)[0], words)
            self.assertNotIn("\x1b", self.on_terminal(*words, NO_COLOR="1")[0], words)
            self.assertNotIn("\x1b", self.on_terminal(*words, TERM="dumb")[0], words)
            self.assertNotIn("\x1b", self.mpsync(*words, check=0).stdout, words)


class Json(Case):
    def test_json_is_always_json(self):
        done = self.mpsync("lock", "a b", "--quiet", "--", "sh", "-c",
                           f'{MPSYNC} ls --json; {MPSYNC} status "$MPSYNC_NAME" --json', check=0)
        for line in done.stdout.splitlines():
            lock = json.loads(line)
            self.assertEqual(lock["metadata"]["name"], "a b")
            self.assertTrue(lock["status"]["held"])
            self.assertTrue(lock["spec"]["owner"])
        self.assertEqual(self.mpsync("ls", "--json", check=0).stdout, "")
        for words in (["doctor", "--json"], ["version", "--json"]):
            for line in self.mpsync(*words, check=0).stdout.splitlines():
                json.loads(line)
        watch = self.start([MPSYNC, "watch", "a", "--json"], {"MPSYNC_URL": self.file_url})
        self.assertFalse(json.loads(watch.line())["status"]["held"])

    def test_free_name_is_1_and_says_so(self):
        self.assertEqual(self.mpsync("status", "x", check=1).stdout, "x is free\n")
        lock = json.loads(self.mpsync("status", "x", "--json", check=1).stdout)
        self.assertEqual(lock["metadata"]["name"], "x")
        self.assertFalse(lock["status"]["held"])
        self.assertEqual(lock["spec"]["owner"], "")

    def test_waiter_tells_whom_it_waits_for(self):
        holder = self.start([MPSYNC, "lock", "x", "--identity", "me", "--", "sh", "-c", "echo ready; read line"],
                            {"MPSYNC_URL": self.file_url})
        holder.expect("ready")
        waiter = self.start([MPSYNC, "lock", "x", "--json", "--", "true"], {"MPSYNC_URL": self.file_url})
        told = json.loads(waiter.line())
        self.assertEqual((told["event"], told["name"], told["holder"]), ("waiting", "x", "me"))
        holder.send("go")
        self.assertEqual(waiter.child.wait(), 0)


class Waiting(Case):
    def holder(self):
        holder = self.start([MPSYNC, "lock", "x", "--identity", "the-other", "--", "sh", "-c", "echo ready; read line"],
                            {"MPSYNC_URL": self.file_url})
        holder.expect("ready")
        return holder

    def wait_for(self, holder, *words):
        """All that a waiter without a terminal says, until it has had its turn."""
        waiter = self.start([MPSYNC, "lock", "x", *words, "--", "true"], {"MPSYNC_URL": self.file_url},
                            subprocess.PIPE)
        self.until(lambda: self.mpsync("ls").stdout.endswith(" 1\n"))
        holder.send("go")
        self.assertEqual(waiter.child.wait(), 0)
        with waiter.child.stderr as said:
            return said.read()

    def test_without_a_terminal_it_says_once_for_whom(self):
        self.assertRegex(self.wait_for(self.holder()),
                         r"^mpsync: x is held by the-other, unchanged for \d+ s; waiting\n$")

    def test_quiet_says_nothing(self):
        self.assertEqual(self.wait_for(self.holder(), "--quiet"), "")

    def test_verbose_says_what_is_done(self):
        done = self.mpsync("lock", "x", "--verbose", "--", "true", check=0)
        for said in (f"mpsync: locks live in {self.file_url}\n", "mpsync: x is held with token ", "not held any more"):
            self.assertIn(said, done.stderr)
        self.assertEqual(self.mpsync("lock", "x", "--", "true", check=0).stderr, "")
        done = self.mpsync("ls", "--log", "info", "--log-format", "json", check=0)
        self.assertEqual(json.loads(done.stderr)["level"], "info")

    def test_wait_is_also_for_a_store_that_is_not_up_yet(self):
        port = free_port()
        waiters = [self.start([MPSYNC, verb, name, *wait, "--", "echo", "ran"],
                              {"MPSYNC_URL": f"http://127.0.0.1:{port}"}, subprocess.PIPE)
                   for verb, name, wait in (("lock", "x", ["--wait", "5m"]), ("lock", "y", []), ("elect", "z", []))]
        for waiter in waiters:
            self.addCleanup(waiter.child.stderr.close)
            self.assertRegex(waiter.child.stderr.readline(),
                             "^mpsync: no elector answers .*start one with: mpsync elector; waiting for it")
        self.elector("memory:", port)
        for waiter in waiters:
            waiter.expect("ran")
        for waiter in waiters[:2]:
            self.assertEqual(waiter.child.wait(), 0)

    def test_store_that_never_comes_up_is_122_when_the_wait_is_over(self):
        start = time.monotonic()
        done = self.mpsync("lock", "x", "--wait", "1s", "--quiet", "--", "true", url="http://127.0.0.1:1", check=122)
        self.assertGreaterEqual(time.monotonic() - start, 1)
        self.assertIn("no elector answers", done.stderr)
        self.assertEqual(len(done.stderr.splitlines()), 1)


class Completion(Case):
    def complete(self, *words, url=None):
        """What bash offers for the last word."""
        # However long the store takes here: a person who types is not kept waiting for it.
        script = (f"timeout() {{ shift; \"$@\"; }}; source {ROOT}/core/cli/mpsync.bash; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_LINE=\"$*\"; "
                  "COMP_POINT=${#COMP_LINE}; _mpsync; printf '%s\\n' \"${COMPREPLY[@]}\"")
        done = subprocess.run(["bash", "-c", script, "bash", "mpsync", *words], text=True, capture_output=True, check=True,
                              timeout=PATIENCE_S, env={**os.environ, "MPSYNC_URL": url or self.file_url,
                                               "PATH": f"{BUILD}/bin:{os.environ['PATH']}"})
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_commands_options_values_and_names(self):
        for words, offered in (
                (["l"], ["lock", "ls"]), (["elect"], ["elect", "elector"]),
                (["lock", "x", "--wa"], ["--wait", "--wait-all"]), (["elect", "--on"], ["--once"]),
                (["elector", "--tls-c"], ["--tls-cert", "--tls-client-ca"]), (["elector", "--sto"], ["--store"]),
                (["ls", "--w"], ["--watch"]), (["release", "--f"], ["--fence", "--force"]),
                (["lock", "x", "--log", "i"], ["info"]), (["help", "d"], ["doctor"]),
                (["ls", "--url", "etcd"], ["etcd://", "etcds://"]),
                (["lock", "x", "--", "mkfif"], ["mkfifo"])):
            self.assertEqual(sorted(self.complete(*words)), sorted(offered), words)
        self.assertEqual(self.complete("ls", "--url", "fi"), ["file:"])

    def test_held_names(self):
        holder = self.start([MPSYNC, "lock", "orders/42", "--", "sh", "-c", "echo ready; read line"],
                            {"MPSYNC_URL": self.file_url})
        holder.expect("ready")
        self.assertEqual(self.complete("status", "or"), ["orders/42"])
        self.assertEqual(self.complete("status", "--url", self.file_url, "or", url="file:/nowhere"), ["orders/42"])


if __name__ == "__main__":
    unittest.main()
