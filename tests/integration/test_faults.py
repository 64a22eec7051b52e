"""Outages, full disks, no descriptors left, TLS: an error or patience, and nothing held is lost."""
import http.client
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import unittest

from support import BUILD, MPSYNC, PATIENCE_S, Case, free_port

# An elector's connections by default, and as many as are opened.
BOUND = 10000
CROWD = BOUND + 500


class Outage(Case):
    def test_release_ends_with_the_right_at_the_latest(self):
        elector = self.elector()
        holder = self.probe(elector.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        elector.signal(signal.SIGSTOP)
        holder.send("release x")
        holder.send("held x")
        self.assertEqual(holder.expect("is_held x"), "is_held x 0")
        holder.expect("released x")

    def test_a_request_that_is_taken_back_leaves_nothing(self):
        """As over memory, where the elector's answer is still on its way."""
        elector = self.elector()
        done = subprocess.run([str(BUILD / "bin/test_withdraw"), elector.url], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_waiter_rides_out_a_restart(self):
        elector = self.elector(self.file_url)
        holder = self.probe(self.file_url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter = self.probe(elector.url)
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        elector.signal(signal.SIGKILL)
        elector.child.wait()
        self.elector(self.file_url, elector.port)
        holder.send("release x")
        holder.expect("released x")
        waiter.expect("held x")

    def test_silent_elector_costs_the_right_and_says_so(self):
        elector = self.elector()
        holder = self.probe(elector.url, ttl="1s")
        holder.send("acquire x -1")
        holder.expect("held x")
        elector.signal(signal.SIGSTOP)
        self.assertIn("expired", holder.expect("lost x"))

    def test_something_else_listens_there(self):
        port = free_port()
        self.start(["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port)],
                   stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(port, "GET", "/")[0] == 200)
        done = self.mpsync("lock", "x", "--wait", "0", "--", "true", url=f"http://127.0.0.1:{port}")
        self.assertIn("is no elector", done.stderr)


class Limits(Case):
    def test_no_descriptors_left(self):
        port = free_port()
        elector = self.start(
            ["prlimit", "--nofile=40:40", MPSYNC, "elector", "--store", "memory:", "--listen",
             f"127.0.0.1:{port}"], {"HOME": self.folder}, stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        holder = self.probe(f"http://127.0.0.1:{port}", ttl="2m")
        holder.send("acquire x -1")
        holder.expect("held x")
        crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
        holder.send("held x")
        holder.expect("is_held x 1")
        for connection in crowd:
            connection.close()
        self.until(lambda: self.http(port, "GET", "/locks/x")[0] == 200)
        self.assertIsNone(elector.child.poll())

    def test_ten_thousand_idle_connections(self):
        """Over the bound the oldest idle one goes; nothing held is lost, and others are served."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        elector = self.elector()
        holder = self.probe(elector.url, ttl="2m")
        holder.send("acquire x -1")
        holder.expect("held x")
        crowd = [socket.create_connection(("127.0.0.1", elector.port)) for _ in range(CROWD)]
        self.assertEqual(self.http(elector.port, "GET", "/locks/x")[0], 200)
        self.assertEqual(crowd[0].recv(1), b"")
        holder.send("held x")
        holder.expect("is_held x 1")
        for connection in crowd:
            connection.close()
        self.assertEqual(self.http(elector.port, "GET", "/locks/x")[0], 200)

    def test_ten_thousand_waiters(self):
        """One session queues them all; each is served in its turn."""
        elector = self.elector()
        holder = self.probe(elector.url, ttl="2m")
        holder.send("acquire x -1")
        holder.expect("held x")
        session = {"Mpsync-Session": "4" * 32}
        stream = http.client.HTTPConnection("127.0.0.1", elector.port)
        self.addCleanup(stream.close)
        stream.request("GET", "/holders/crowd", headers=session)
        self.assertTrue(stream.getresponse().readline())
        queue = http.client.HTTPConnection("127.0.0.1", elector.port)
        self.addCleanup(queue.close)
        for number in range(1, 10001):
            queue.request("PUT", "/locks/x", json.dumps(
                {"holder": "crowd", "claim": f"{number:032x}", "queue": True}), session)
            answer = queue.getresponse()
            answer.read()
            self.assertEqual(answer.status, 202)
        self.assertEqual(self.metric(elector.port, "mpsync_waiters"), 10000)
        holder.send("release x")
        holder.expect("released x")
        self.until(lambda: self.metric(elector.port, "mpsync_waiters") == 9999)

    def test_full_disk(self):
        mount = pathlib.Path(self.folder, "small")
        mount.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", mount], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", mount])
        url = f"file:{mount}/locks.db"
        holder = self.probe(url, ttl="2m")
        holder.send("acquire x -1")
        holder.expect("held x")
        with open(mount / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        # What is there has its room; what is new needs more, sooner or later.
        others = self.probe(url, ttl="1h")
        answer = "held"
        for number in range(60):
            others.send(f"acquire {'n' * 100}{number} 0")
            answer = others.expect("held", "failed")
            if answer.startswith("failed"):
                break
        self.assertIn("full", answer)
        failure = self.mpsync("lock", "new", "--wait", "0", "--", "true", url=url)
        self.assertEqual(failure.returncode, 122)
        self.assertIn("full", failure.stderr)
        holder.send("held x")
        holder.expect("is_held x 1")
        os.unlink(mount / "filler")
        self.mpsync("lock", "again", "--wait", "0", "--", "true", url=url, check=0)


class Tls(Case):
    def certificate(self, name, *extra):
        files = {kind: f"{self.folder}/{name}.{kind}" for kind in ("key", "crt")}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", f"/CN={name}", "-keyout", files["key"], "-out", files["crt"], *extra],
                       check=True, capture_output=True)
        return files

    def test_other_addresses_need_client_certificates(self):
        server = self.certificate("server", "-addext", "subjectAltName=IP:127.0.0.1")
        client = self.certificate("client")
        port = free_port()
        self.start([MPSYNC, "elector", "--store", "memory:", "--listen", f"0.0.0.0:{port}",
                    "--tls-cert", server["crt"], "--tls-key", server["key"], "--tls-client-ca",
                    client["crt"]], {"HOME": self.folder}, stderr=subprocess.DEVNULL)
        url = f"https://127.0.0.1:{port}"
        known = ["--ca", server["crt"], "--cert", client["crt"], "--key", client["key"]]
        self.until(lambda: self.mpsync("doctor", *known, url=url).returncode == 0)
        self.assertNotEqual(self.mpsync("doctor", "--ca", server["crt"], url=url).returncode, 0)
        self.assertNotEqual(self.mpsync("doctor", url=url).returncode, 0)

    def test_an_encrypted_key_is_refused_with_a_sentence(self):
        """Nobody can be asked for its pass phrase, least of all on the terminal of a program."""
        files = self.certificate("server")
        locked = f"{self.folder}/locked"
        for form in ([], ["-traditional"]):
            subprocess.run(["openssl", "pkey", "-in", files["key"], "-aes256", *form, "-passout", "pass:secret",
                            "-out", locked], check=True)
            files_of_client = f"?ca={files['crt']}&cert={files['crt']}&key={locked}"
            for arguments in (["elector", "--store", "memory:", "--listen", f"0.0.0.0:{free_port()}", "--tls-cert",
                               files["crt"], "--tls-key", locked, "--tls-client-ca", files["crt"]],
                              ["ls", "--url", f"https://127.0.0.1:1{files_of_client}"],
                              ["ls", "--url", f"etcds://127.0.0.1:1{files_of_client}"]):
                command = " ".join(f"'{word}'" for word in (MPSYNC, *arguments))
                asked = subprocess.run(["script", "-qec", command, "/dev/null"], capture_output=True, text=True,
                                       stdin=subprocess.DEVNULL, timeout=PATIENCE_S, check=False)
                self.assertEqual(asked.returncode, 125, asked.stdout)
                self.assertIn(f"{locked} is encrypted", asked.stdout)
                self.assertNotIn("pass phrase:", asked.stdout)

    def test_other_addresses_without_certificates_are_refused(self):
        done = self.mpsync("elector", "--store", "memory:", "--listen", f"0.0.0.0:{free_port()}")
        self.assertEqual(done.returncode, 125)
        self.assertIn("--tls-cert", done.stderr)


class Addresses(Case):
    def test_address_in_use_names_the_cure(self):
        elector = self.elector()
        done = self.mpsync("elector", "--store", "memory:", "--listen", f"127.0.0.1:{elector.port}")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("--listen", done.stderr)

    def test_elector_behind_an_elector_is_refused(self):
        done = self.mpsync("elector", "--store", "http://localhost:1")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("cannot stand behind", done.stderr)


if __name__ == "__main__":
    unittest.main()
