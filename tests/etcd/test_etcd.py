"""etcd: as it is the recipe of etcd's own client, etcdctl and this library take turns; real members fail."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import unittest.mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import test_holders  # noqa: E402
from cases import EtcdCase, Member  # noqa: E402
from promises import Deafness, Promises  # noqa: E402
from support import MPSYNC, PATIENCE_S, Case, free_port  # noqa: E402


class Store(Promises, EtcdCase):
    """What every store promises."""

    def test_restarted_elector_loses_no_lock(self):
        super().test_restarted_elector_loses_no_lock()
        self.until(lambda: not self.etcdctl("get", "--prefix", "x/").stdout)

    def test_turns_are_taken_in_order_and_tokens_rise(self):
        first, second, third = (self.probe(self.url) for _ in range(3))
        first.send("acquire x -1")
        tokens = [self.token_of(first.expect("held x"))]
        second.send("acquire x -1")
        second.expect("waiting x")
        third.send("acquire x -1")
        third.expect("waiting x")
        for holder, following in ((first, second), (second, third)):
            holder.send("release x")
            holder.expect("released x")
            tokens.append(self.token_of(following.expect("held x")))
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_a_try_leaves_nothing_behind(self):
        holder, rival = self.probe(self.url), self.probe(self.url, ttl="2m")  # a third of it for an answer
        holder.send("acquire x -1")
        holder.expect("held x")
        rival.send("acquire x 0")
        rival.expect("busy x")
        self.assertEqual(len(self.etcdctl("get", "--prefix", "--keys-only", "x/").stdout.split()), 1)

    def test_cancelled_waiter_leaves_the_queue(self):
        holder, waiter = self.probe(self.url), self.probe(self.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        waiter.send("cancel x")
        waiter.expect("cancelled x")
        self.until(lambda: len(
            self.etcdctl("get", "--prefix", "--keys-only", "x/").stdout.split()) == 1)

    def test_waiter_that_is_closed_has_left_the_queue(self):
        """Its process goes on, and others would wait behind it until its lease has run out."""
        holder, waiter = self.probe(self.url), self.probe(self.url, ttl="1h")
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        waiter.send("close")
        waiter.expect("cancelled x")
        waiter.expect("done")
        self.assertEqual(len(self.etcdctl("get", "--prefix", "--keys-only", "x/").stdout.split()), 1)

    def test_stopped_holder_says_no_at_once(self):
        test_holders.Standstill.first_answer_is_no(self, self.url, "2s")

    def test_forced_release_is_told_and_hands_over(self):
        holder = self.probe(self.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter = self.probe(self.url)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        self.mpsync("release", "--force", "x", url=self.url, check=0)
        self.assertIn("revoked", holder.expect("lost x"))
        waiter.expect("held x")

    def test_a_command_under_a_lock_sees_the_same_prefix(self):
        """Where the lock lives is told to what it starts, however it was said: nested, it is the same name."""
        nested = [MPSYNC, "lock", "outer", "--wait", "0", "--identity", "another", "--", "echo", "ran"]
        for url, said in ((f"{self.url}?prefix=prod/", []), (self.url, ["--prefix", "prod/"])):
            with self.subTest(said=said):
                done = self.mpsync("lock", "outer", *said, "--", "sh", "-c", "unset MPSYNC_HELD; exec \"$@\"", "sh", *nested,
                                   url=url, check=121)
                self.assertNotIn("ran", done.stdout)
                self.assertIn("held", done.stderr)

    def test_a_long_prefix_and_a_name_of_slashes(self):
        """Keys of more than four thousand bytes, and the ends of their ranges."""
        url = f"{self.url}?prefix={'p' * 1099}/"
        name = "/" * 1000
        self.mpsync("lock", name, "--wait", "0", "--", MPSYNC, "lock", name, "--wait", "0", "--", "true",
                    url=url, check=121)
        self.mpsync("lock", name, "--", "true", url=url, check=0)

    def test_list_and_doctor(self):
        holder = self.probe(self.url, identity="me")
        holder.send("acquire a/b -1")
        holder.expect("held a/b")
        self.assertIn("a/b lock me", self.mpsync("ls", url=self.url, check=0).stdout)
        self.assertIn("a lock can be taken", self.mpsync("doctor", url=self.url, check=0).stdout)


class Recipe(EtcdCase):
    """etcdctl lock and elect are etcd's own client: they exclude us, and we them."""

    def test_etcdctl_waits_for_us_and_we_for_it(self):
        ours = self.probe(self.url)
        ours.send("acquire x -1")
        ours.expect("held x")
        theirs = self.start_etcdctl("lock", "x")
        self.until(lambda: len(
            self.etcdctl("get", "--prefix", "--keys-only", "x/").stdout.split()) == 2)
        last = self.probe(self.url)
        last.send("acquire x -1")
        last.expect("waiting x")
        ours.send("release x")
        ours.expect("released x")
        self.assertTrue(theirs.line().startswith("x/"))
        theirs.signal(signal.SIGINT)
        last.expect("held x")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contender = f"{cls.etcd_folder}/contender"
        subprocess.run(["go", "build", "-o", cls.contender, "."], check=True,
                       cwd=pathlib.Path(__file__).parent / "contender")

    def queued(self, count):
        self.until(lambda: len(
            self.etcdctl("get", "--prefix", "--keys-only", "x/").stdout.split()) == count)

    def test_three_kinds_of_contenders_are_served_in_order(self):
        """This library, etcd's Go package and etcdctl, each several times, as they came."""
        ours, last = self.probe(self.url), self.probe(self.url)
        theirs = [self.start([self.contender, self.endpoints]) for _ in range(2)]
        for go in theirs:
            go.expect("ready")
        ours.send("acquire x -1")
        tokens = [self.token_of(ours.expect("held x"))]
        theirs[0].send("lock x")
        self.queued(2)
        command = self.start_etcdctl("lock", "x")
        self.queued(3)
        last.send("acquire x -1")
        last.expect("waiting x")
        theirs[1].send("lock x")
        self.queued(5)
        ours.send("release x")
        tokens.append(self.token_of(theirs[0].expect("held x")))
        theirs[0].send("unlock x")
        self.assertTrue(command.line().startswith("x/"))
        command.signal(signal.SIGINT)
        tokens.append(self.token_of(last.expect("held x")))
        last.send("release x")
        tokens.append(self.token_of(theirs[1].expect("held x")))
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_who_looks_sees_what_etcdctl_holds(self):
        theirs = self.start_etcdctl("lock", "x")
        self.assertTrue(theirs.line().startswith("x/"))
        self.start_etcdctl("lock", "x")
        self.queued(2)
        for looking in (["status", "x"], ["ls"]):
            shown = self.mpsync(*looking, url=self.url, check=0).stdout
            self.assertIn(r"another\x20client\x20of\x20etcd", shown)
            self.assertNotIn("free", shown)
        watch = self.start([MPSYNC, "watch", "x"], {"MPSYNC_URL": self.url}, stderr=subprocess.DEVNULL)
        self.assertIn(r"another\x20client\x20of\x20etcd", watch.line())

    def test_etcdctl_sees_our_leader_and_its_value(self):
        leader = self.start(
            [MPSYNC, "elect", "e", "--value", "10.0.0.7:80", "--", "sh", "-c", "echo leading; exec sleep 1000"],
            {"MPSYNC_URL": self.url}, stderr=subprocess.DEVNULL)
        leader.expect("leading")
        observer = self.start_etcdctl("elect", "-l", "e")
        self.assertTrue(observer.line().startswith("e/"))
        self.assertEqual(observer.line(), "10.0.0.7:80")


class Cluster(EtcdCase):
    """Three members; each in turn is killed, stopped and started again while locks are held."""
    members = 3

    def test_lock_outlives_each_member(self):
        holder, waiter = (self.probe(self.url, ttl="2m") for _ in range(2))
        holder.send("acquire x -1")
        before = self.token_of(holder.expect("held x"))
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        for member in self.cluster:
            member.kill()
            other = self.probe(self.url)
            other.send("acquire y -1")
            other.expect("held y")
            other.send("release y")
            other.expect("released y")
            holder.send("held x")
            holder.expect("is_held x 1")
            member.start()
            self.until(lambda: self.etcdctl("endpoint", "health").returncode == 0)
        holder.send("release x")
        holder.expect("released x")
        self.assertGreater(self.token_of(waiter.expect("held x")), before)

    def test_without_quorum_the_holder_loses_in_time_and_the_waiter_waits(self):
        holder, waiter = self.probe(self.url), self.probe(self.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        for member in self.cluster[1:]:
            member.process.signal(signal.SIGSTOP)
        self.assertIn("expired", holder.expect("lost x"))
        for member in self.cluster[1:]:
            member.process.signal(signal.SIGCONT)
        waiter.expect("held x")


class Silence(Deafness, EtcdCase):
    def test_observers_notice(self):
        self.observers_notice(*self.wire_to(self.cluster[0].client, self.url), self.url)

    def test_a_try_of_a_stopped_etcd_is_no_busy_name(self):
        client = self.probe(self.url, ttl="6s")
        client.send("acquire y -1")
        client.expect("held y")
        self.cluster[0].process.signal(signal.SIGSTOP)
        self.addCleanup(self.cluster[0].process.signal, signal.SIGCONT)
        for wait in ("0", "1s"):
            self.mpsync("lock", "--ttl", "6s", "--wait", wait, "x", "--", "true", url=self.url, check=122)
        client.send("acquire x 0")
        # What it holds may be lost before or after that.
        told = sorted(client.expect("failed x", "lost y").split()[0] for _ in range(2))
        self.assertEqual(told, ["failed", "lost"])


class NotThereYet(Case):
    def test_a_try_fails_and_a_wait_lasts_until_a_member_is_there(self):
        """Of two members none answers; the second one is started in the middle of the wait."""
        (first, _), (second, peer) = ((free_port(), free_port()) for _ in range(2))
        client = self.probe(f"etcd://127.0.0.1:{first},127.0.0.1:{second}")
        client.send("acquire x -1")
        client.send("acquire tried 0")
        self.assertIn("no etcd answers", client.expect("failed tried"))
        self.assertIn("no etcd answers", client.expect("log "))
        late = Member(self.folder, "m", (second, peer), f"m=http://127.0.0.1:{peer}")
        late.start()
        self.addCleanup(late.kill)
        client.expect("held x")


class Mistakes(EtcdCase):
    def complaint(self, url, code=122):
        return self.mpsync("lock", "x", "--wait", "5s", "--", "true", url=url, check=code).stderr

    def test_no_etcd_there(self):
        port = free_port()
        self.assertIn("no etcd answers", self.complaint(f"etcd://127.0.0.1:{port}"))

    def test_something_else_there(self):
        elector = self.elector()
        self.assertIn("etcd", self.complaint(f"etcd://127.0.0.1:{elector.port}"))

    def test_malformed_endpoints(self):
        for url in ("etcd://", "etcd://host", "etcd://host:1/path", "etcd://h:1?user=x", "etcd://h:1?prefix=x"):
            self.complaint(url, code=125)

    def test_no_password_is_shown(self):
        """In a URL it is refused: by the command, and by an elector, and never told."""
        url = f"etcd://me:secret@{self.endpoints}"
        self.assertIn("password_file", self.complaint(url, code=125))
        self.assertNotIn("secret", self.complaint(url, code=125))
        elector = subprocess.run([MPSYNC, "elector", "--store", url], capture_output=True, text=True, timeout=PATIENCE_S,
                                 check=False)
        self.assertNotEqual(elector.returncode, 0)
        self.assertIn("password_file", elector.stderr)
        self.assertNotIn("secret", elector.stdout + elector.stderr)

    def test_foreign_keys_do_no_harm(self):
        self.etcdctl("put", "mpsync-session/zz/x", "nonsense")
        self.etcdctl("put", "mpsync-session/zz/%", "{}")
        self.mpsync("lock", "x", "--", "true", url=self.url, check=0)
        self.mpsync("ls", url=self.url, check=0)


class Tls(EtcdCase):
    """etcds:// verifies the member, and shows a certificate of its own."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="mpsync-etcd-")
        cls.addClassCleanup(shutil.rmtree, folder, True)
        cls.files = {kind: f"{folder}/{kind}" for kind in ("key", "crt")}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                        "/CN=root", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", cls.files["key"],
                        "-out", cls.files["crt"]], check=True, capture_output=True)
        client, peer = free_port(), free_port()
        member = Member(folder, "m0", (client, peer), f"m0=http://127.0.0.1:{peer}",
                        ["--cert-file", cls.files["crt"], "--key-file", cls.files["key"],
                         "--client-cert-auth", "--trusted-ca-file", cls.files["crt"]])
        member.command = [word.replace(f"http://127.0.0.1:{client}", f"https://127.0.0.1:{client}")
                          for word in member.command]
        member.start()
        cls.addClassCleanup(member.kill)
        cls.endpoints = f"https://127.0.0.1:{client}"
        cls.url = f"etcds://127.0.0.1:{client}"

    def etcdctl(self, *arguments):
        return super().etcdctl("--cacert", self.files["crt"], "--cert", self.files["crt"],
                               "--key", self.files["key"], *arguments)

    def test_certificates(self):
        ca, own = f"?ca={self.files['crt']}", f"&cert={self.files['crt']}&key={self.files['key']}"
        self.mpsync("lock", "x", "--", "true", url=self.url + ca + own, check=0)
        done = self.mpsync("lock", "x", "--wait", "5s", "--", "true", url=self.url + own.replace("&", "?", 1),
                           check=122)
        self.assertIn("certificate", done.stderr)
        self.mpsync("lock", "x", "--wait", "5s", "--", "true", url=self.url + ca, check=122)
        with self.environment(ETCDCTL_CACERT=self.files["crt"], ETCDCTL_CERT=self.files["crt"],
                              ETCDCTL_KEY=self.files["key"]):
            self.mpsync("lock", "x", "--", "true", url=self.url, check=0)


class WithPassword(EtcdCase):
    """Only root with its password may do anything."""

    def setUp(self):
        super().setUp()
        for command in (["user", "add", "root:secret"], ["role", "add", "root"],
                        ["user", "grant-role", "root", "root"], ["auth", "enable"]):
            self.etcdctl(*command)
        self.addCleanup(self.etcdctl, "--user", "root:secret", "auth", "disable")

    def held_and_waited_for(self, ttl):
        """A holder of x, one who waits for it, and another."""
        holder, waiter, other = (self.probe(self.url, ttl=ttl) for _ in range(3))
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        return holder, waiter, other

    def hand_over(self, holder, waiter):
        holder.send("held x")
        holder.expect("is_held x 1")
        holder.send("release x")
        holder.expect("released x")
        waiter.expect("held x")

    def take_turns(self, probe, name, seconds):
        """So long that a token of a second has run out several times; a few each second, for others compute too."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            probe.send(f"acquire {name} -1")
            probe.expect(f"held {name}")
            probe.send(f"release {name}")
            probe.expect(f"released {name}")
            time.sleep(0.1)


class SignedTokens(WithPassword):
    """Tokens that run out after a second, whether they are used or not."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="mpsync-etcd-")
        cls.addClassCleanup(shutil.rmtree, folder, True)
        private, public = f"{folder}/private", f"{folder}/public"
        subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
        cls.extra = ["--auth-token", f"jwt,pub-key={public},priv-key={private},sign-method=RS256,ttl=1s"]
        super().setUpClass()

    def test_tokens_are_renewed_while_locks_are_held_waited_for_and_taken(self):
        with self.environment(ETCDCTL_USER="root:secret"):
            holder, waiter, other = self.held_and_waited_for("15s")
            self.take_turns(other, "y", seconds=18)
            self.hand_over(holder, waiter)


class ForgottenTokens(WithPassword):
    """Members that start again have forgotten the tokens they gave, or are gone while one logs in."""
    members = 3
    extra = ["--auth-token-ttl", "1"]

    def test_each_member_goes_and_comes_back(self):
        with self.environment(ETCDCTL_USER="root:secret"):
            holder, waiter, other = self.held_and_waited_for("30s")
            for member in self.cluster:
                member.kill()
                self.take_turns(other, "y", seconds=2)
                newcomer = self.probe(self.url, ttl="30s")
                self.take_turns(newcomer, "z", seconds=0.1)
                member.start()
                self.until(lambda: self.etcdctl("endpoint", "health").returncode == 0)
            self.hand_over(holder, waiter)


class Users(WithPassword):
    def change_password(self, before, after):
        subprocess.run(["etcdctl", "--endpoints", self.endpoints, "--user", f"root:{before}", "user", "passwd", "root",
                        "--interactive=false"], input=after + "\n", text=True, check=True, capture_output=True,
                       env={**os.environ, "ETCDCTL_API": "3"})

    def test_a_changed_password_is_read_again(self):
        password = pathlib.Path(self.folder, "password")
        password.write_text("secret\n")
        holder = self.probe(f"{self.url}?user=root&password_file={password}")
        holder.send("acquire x -1")
        holder.expect("held x")
        password.write_text("changed\n")
        self.change_password("secret", "changed")
        self.addCleanup(self.change_password, "changed", "secret")
        holder.send("release x")
        holder.expect("released x")
        holder.send("acquire x -1")
        holder.expect("held x")

    def test_an_elector_says_once_that_etcd_refuses_it_and_once_that_it_is_over(self):
        password = pathlib.Path(self.folder, "password")
        password.write_text("secret\n")
        log = pathlib.Path(self.folder, "log")
        with log.open("w") as stderr:
            port = free_port()
            self.start([MPSYNC, "elector", "--store", f"{self.url}?user=root&password_file={password}",
                        "--listen", f"127.0.0.1:{port}"], {"HOME": self.folder}, stderr=stderr)
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        holder = self.probe(f"http://127.0.0.1:{port}", ttl="30s")
        holder.send("acquire x -1")
        holder.expect("held x")
        self.change_password("secret", "changed")
        self.addCleanup(self.change_password, "changed", "secret")
        self.until(lambda: "authentication failed" in log.read_text())
        password.write_text("changed\n")
        self.until(lambda: "the store answers again" in log.read_text())
        self.assertEqual(log.read_text().count("authentication failed"), 1)
        self.assertNotIn("secret", log.read_text())
        holder.send("held x")
        holder.expect("is_held x 1")

    def test_user_and_password(self):
        password = pathlib.Path(self.folder, "password")
        password.write_text("secret\n")
        self.mpsync("lock", "x", "--", "true", url=f"{self.url}?user=root&password_file={password}", check=0)
        done = self.mpsync("lock", "x", "--wait", "5s", "--", "true", url=self.url, check=122)
        self.assertIn("user", done.stderr)
        for variables in ({"ETCDCTL_USER": "root:secret"},
                          {"ETCDCTL_USER": "root", "ETCDCTL_PASSWORD": "secret"}):
            with self.environment(**variables):
                self.mpsync("lock", "x", "--", "true", url=self.url, check=0)
        with self.environment(ETCDCTL_USER="root"):
            done = self.mpsync("lock", "x", "--", "true", url=self.url, check=125)
            self.assertIn("ETCDCTL_PASSWORD", done.stderr)
        password.write_text("wrong\n")
        self.mpsync("lock", "x", "--wait", "5s", "--", "true",
                    url=f"{self.url}?user=root&password_file={password}", check=122)


if __name__ == "__main__":
    unittest.main()
