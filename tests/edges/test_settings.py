"""What an elector is told at its start: what it makes of it, and what it says where it cannot."""
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, PATIENCE_S, Case, free_port  # noqa: E402


class Refused(Case):
    """It ends with a sentence that says what is wrong."""

    def refused(self, word, *flags, code=125, **environment):
        done = subprocess.run([MPSYNC, "elector", *flags], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
                              env={**os.environ, "HOME": self.folder, **environment})
        self.assertEqual(done.returncode, code, (flags, done.stderr))
        self.assertIn(word, done.stderr, flags)

    def test_addresses(self):
        for address in ("nowhere", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:99999999999999999999",
                        "1" * 128 + ":1"):
            self.refused("write 127.0.0.1:13131", "--store", "memory:", "--listen", address)
            self.refused("write 127.0.0.1:13131", "--store", "memory:", "--listen", f"127.0.0.1:{free_port()}",
                         "--status-listen", address)
        for address in ("127.x:1", "127.0.0.1]:1", "[::1:1"):
            self.refused("mpsync: ", "--store", "memory:", "--listen", address)
        self.refused("too long", "--store", "memory:", "--listen", "/" + "a" * 200)
        self.refused("mpsync: ", "--store", "memory:", "--listen", f"unix:{self.folder}/no/such/folder")

    def test_counts_that_are_none_and_flags_that_are_too_many(self):
        for count in ("0", "", "x", "1x", "99999999999999999999"):
            self.refused("--max-connections", "--max-connections", count)
            self.refused("--max-waiters", "--max-waiters", count)
        self.refused("one too many", *["--host", "name:1"] * 17)
        self.refused("one too many", *["--listen", "127.0.0.1:1"] * 17)

    def test_certificates(self):
        """Each of them by itself, and files that are none."""
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key",
                        "-out", "crt", "-subj", "/CN=localhost"], cwd=self.folder, check=True, stderr=subprocess.DEVNULL)
        pathlib.Path(self.folder, "text").write_text("a text\n", "ascii")
        good = {"--tls-cert": "crt", "--tls-key": "key", "--tls-client-ca": "crt"}

        def with_files(word, files):
            flags = [part for flag, name in files.items() for part in (flag, f"{self.folder}/{name}")]
            self.refused(word, "--store", "memory:", "--listen", f"0.0.0.0:{free_port()}", *flags)

        for flag in good:
            with_files("needs --tls-cert, --tls-key and --tls-client-ca", {**{name: good[name] for name in good if name != flag}})
            for file in ("text", "none"):
                with_files(flag, {**good, flag: file})

    def test_without_a_store(self):
        """In a Pod without a token it says what it lacks, and takes no file that no other Pod sees."""
        self.refused("oken", "--listen", f"127.0.0.1:{free_port()}", code=122, KUBERNETES_SERVICE_HOST="127.0.0.1",
                     KUBERNETES_SERVICE_PORT="1")


class Told(Case):
    def end(self, process):
        """How it ended, once it was asked to."""
        process.child.terminate()
        return process.child.wait(PATIENCE_S)

    def started(self, *flags, **environment):
        path = f"{self.folder}/said"
        with open(path, "w", encoding="ascii") as stderr:
            process = self.start([MPSYNC, "elector", *flags], {"HOME": self.folder, **environment}, stderr=stderr)
        process.said = pathlib.Path(path).read_text
        return process

    def serves(self, url):
        self.until(lambda: self.mpsync("doctor", url=url).returncode == 0)

    def test_its_description(self):
        self.assertTrue(self.mpsync("elector", "--print-openapi", check=0).stdout.startswith("openapi: 3"))

    def test_a_file_of_its_own_where_no_store_is_named(self):
        port = free_port()
        elector = self.started("--listen", f":{port}", XDG_STATE_HOME=f"{self.folder}/state", KUBERNETES_SERVICE_HOST="")
        self.serves(f"http://127.0.0.1:{port}")
        self.assertEqual(self.end(elector), 0)

    def test_sockets_and_addresses(self):
        port = free_port()
        elector = self.started("--store", "memory:", "--listen", f"unix:{self.folder}/one", "--listen", f"{self.folder}/two",
                               "--listen", f"[::1]:{port}", "--status-locks")
        for url in (f"http+unix://{self.folder}/one", f"http+unix://{self.folder}/two", f"http://[::1]:{port}"):
            self.serves(url)
        self.assertEqual(self.end(elector), 0)
        self.assertFalse(pathlib.Path(self.folder, "one").exists())

    def test_one_that_is_to_be_silent(self):
        """It reports why it ends, and nothing else: no warning of a key that it cannot keep."""
        pathlib.Path(self.folder, "a-file").touch()
        elector = self.started("--store", self.file_url, "--listen", f"{self.folder}/socket", "--log", "error",
                               XDG_STATE_HOME=f"{self.folder}/a-file")
        self.serves(f"http+unix://{self.folder}/socket")
        self.assertEqual(self.end(elector), 0)
        self.assertNotIn("without a holder", elector.said())

    def test_flags_of_kubernetes_are_no_business_of_other_stores(self):
        """They are options of the store; one that has no Pods has nothing to do for them."""
        elector = self.started("--store", self.file_url, "--listen", f"{self.folder}/socket", "--leader-events", "--label-leader")
        self.serves(f"http+unix://{self.folder}/socket")
        self.assertEqual(self.end(elector), 0)


class Defaults(Case):
    """Where no address is named; in a network of its own, for there is one such port."""

    def defaults(self, network):
        said = f"{self.folder}/said"
        with open(said, "w", encoding="ascii") as stderr:
            self.process = self.start(["unshare", "--net", "sh", "-c", f'{network} && exec "$@"', "sh", MPSYNC, "elector", "--store",
                                       "memory:"], {"HOME": self.folder}, stderr=stderr)
        return pathlib.Path(said).read_text

    def ask(self, address):
        inside = ["nsenter", "--net", "--target", str(self.process.child.pid)]
        return subprocess.run([*inside, MPSYNC, "doctor", "--url", f"http://{address}:13131"], capture_output=True,
                              timeout=PATIENCE_S, check=False).returncode == 0

    def test_both_addresses(self):
        self.defaults("ip link set lo up")
        self.until(lambda: self.ask("127.0.0.1") and self.ask("[::1]"))
        inside = ["nsenter", "--net", "--target", str(self.process.child.pid)]
        second = subprocess.run([*inside, MPSYNC, "elector", "--store", "memory:"], capture_output=True, text=True,
                                timeout=PATIENCE_S, check=False)
        self.assertEqual(second.returncode, 125)
        self.assertIn("in use", second.stderr)

    def test_no_ipv6(self):
        said = self.defaults("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && ip link set lo up")
        self.until(lambda: self.ask("127.0.0.1"))
        self.assertIn("no IPv6 here", said())

    def test_no_ipv4(self):
        self.defaults("ip link set lo up && ip addr del 127.0.0.1/8 dev lo")
        self.assertEqual(self.process.child.wait(PATIENCE_S), 125)


class Watching(Case):
    def test_it_ends_with_its_reader(self):
        """Also where SIGPIPE is ignored, as many supervisors have it."""
        for flags in ([], ["--json"]):
            watch = subprocess.Popen([MPSYNC, "watch", *flags, "x"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                     restore_signals=False, env={**os.environ, "MPSYNC_URL": self.file_url})
            self.addCleanup(watch.wait)
            self.addCleanup(watch.kill)
            holder = self.probe(self.file_url, identity="somebody")
            holder.send("acquire x 60000")
            holder.expect("held x")
            while "body" not in watch.stdout.readline():
                pass
            watch.stdout.close()
            while watch.poll() is None:
                self.mpsync("lock", "x", "--wait", "0", "--", "true")
                holder.send("release x")
                holder.expect("released x")
                holder.send("acquire x 60000")
                holder.expect("held x")
            self.assertGreater(watch.returncode, 0)
            holder.end()


if __name__ == "__main__":
    unittest.main()
