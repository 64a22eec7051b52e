"""Holders that die, stand still, or lose their elector."""
import os
import signal
import subprocess
import unittest

from support import Case, free_port


class Death(Case):
    def test_killed_holder_behind_the_elector_is_replaced_by_proof(self):
        elector = self.elector()
        holder, waiter = self.probe(elector.url), self.probe(elector.url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting")
        # The declaration of the stream as a fence is on its way: wait for it to be known.
        self.until(lambda: self.metric(elector.port, "mpsync_streams") == 2)
        holder.send("held x")
        holder.expect("is_held x 1")
        holder.signal(signal.SIGKILL)
        waiter.expect("held x")
        self.assertEqual(
            self.metric(elector.port, 'mpsync_takeovers_total{cause="proof"}'), 1)

    def test_killed_holder_on_a_unix_socket(self):
        path = f"{self.folder}/elector.sock"
        elector = self.elector("memory:", None, "--listen", path)
        url = f"http+unix://{path}"
        holder, waiter = self.probe(url), self.probe(url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting")
        holder.signal(signal.SIGKILL)
        waiter.expect("held x")
        self.assertEqual(
            self.metric(elector.port, 'mpsync_takeovers_total{cause="proof"}'), 1)

    def test_dead_proxy_proves_nothing(self):
        elector = self.elector()
        port = free_port()
        proxy = self.start(["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork",
                            f"TCP:127.0.0.1:{elector.port}"])
        self.until(lambda: self.http(port, "GET", "/healthz",
                                     headers={"Host": f"localhost:{elector.port}"})[0] == 200)
        proxied = self.elector_behind(port, elector)
        holder = self.probe(proxied, ttl="1h")
        holder.send("acquire x -1")
        holder.expect("held x")
        os.killpg(proxy.child.pid, signal.SIGKILL)
        self.until(lambda: self.metric(elector.port, "mpsync_streams") == 0)
        rival = self.probe(elector.url, ttl="2m")  # a third of it for an answer
        rival.send("acquire x 0")
        rival.expect("busy x")
        holder.send("held x")
        holder.expect("is_held x 1")
        self.assertEqual(
            self.metric(elector.port, 'mpsync_takeovers_total{cause="proof"}'), 0)

    def elector_behind(self, port, elector):
        """The elector refuses a foreign Host: start one that knows the proxy's name."""
        elector.end()
        again = self.start(
            [elector.child.args[0], "elector", "--store", "memory:", "--listen",
             f"127.0.0.1:{elector.port}", "--host", f"127.0.0.1:{port}"],
            {"HOME": self.folder}, stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(elector.port, "GET", "/healthz")[0] == 200)
        self.addCleanup(again.end)
        return f"http://127.0.0.1:{port}"

    def test_killed_holder_of_a_file_is_replaced(self):
        holder, waiter = self.probe(self.file_url), self.probe(self.file_url)
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting")
        holder.signal(signal.SIGKILL)
        waiter.expect("held x")


class Standstill(Case):
    def test_stopped_holder_of_a_file_says_no_at_once(self):
        self.first_answer_is_no(self.file_url)

    def test_stopped_holder_behind_an_elector_says_no_at_once(self):
        self.first_answer_is_no(self.elector().url)

    def first_answer_is_no(self, url, ttl="3s"):
        holder, waiter = self.probe(url, ttl=ttl), self.probe(url, ttl=ttl)
        holder.send("acquire x -1")
        holder.expect("held x")
        # Before anybody waits: on a busy machine so short a right may end of itself.
        holder.signal(signal.SIGSTOP)
        waiter.send("acquire x -1")
        waiter.expect("held x")
        holder.send("held x")
        holder.signal(signal.SIGCONT)
        answers = [holder.expect("is_held x", "lost x") for _ in range(2)]
        self.assertIn("is_held x 0", answers)
        self.assertTrue(any(answer.startswith("lost x") for answer in answers), answers)


class Restart(Case):
    def test_restarted_elector_loses_no_lock(self):
        self.loses_no_lock(self.file_url)

    def loses_no_lock(self, store):
        elector = self.elector(store)
        holder = self.probe(elector.url, ttl="2m")
        holder.send("acquire x -1")
        token = holder.expect("held x").split()[2]
        elector.signal(signal.SIGKILL)
        elector.child.wait()
        again = self.elector(store, elector.port)
        # The holder has been adopted when the new elector shows it as held.
        self.until(lambda: self.metric(again.port, "mpsync_held") == 1)
        status, lock = self.http(again.port, "GET", "/locks/x")
        self.assertEqual((status, lock["spec"]["token"]), (200, token))
        holder.send("held x")
        holder.expect("is_held x 1")
        holder.send("release x")
        holder.expect("released x")
        self.until(lambda: self.http(again.port, "GET", "/locks/x")[0] == 404)

    def test_adopted_grant_keeps_its_value(self):
        self.keeps_its_value(self.file_url)

    def keeps_its_value(self, store):
        claim = {"holder": "w", "claim": "1" * 32, "ttl": "1h"}
        elector = self.elector(store)
        lock = self.http(elector.port, "PUT", "/locks/x", {**claim, "value": "10.0.0.7:80"})[1]
        elector.signal(signal.SIGKILL)
        elector.child.wait()
        again = self.elector(store, elector.port)
        confirm = {**claim, "token": lock["spec"]["token"]}
        for _ in range(2):
            status, lock = self.http(again.port, "PUT", "/locks/x", confirm)
            self.assertEqual((status, lock["spec"]["value"]), (200, "10.0.0.7:80"))
            self.assertEqual(self.http(again.port, "GET", "/locks/x")[1]["spec"]["value"], "10.0.0.7:80")

    def switch_to(self, elector, port):
        """What programs connect to, passing everything on."""
        switch = self.start(["socat", f"TCP-LISTEN:{port},fork,reuseaddr",
                             f"TCP:127.0.0.1:{elector.port}"], stderr=subprocess.DEVNULL)
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        return switch

    def test_rolling_replacement_with_both_alive_loses_no_lock(self):
        port = free_port()
        before, after = (self.elector(self.file_url, None, "--host", f"127.0.0.1:{port}")
                         for _ in range(2))
        switch = self.switch_to(before, port)
        holder = self.probe(f"http://127.0.0.1:{port}", ttl="1m")
        holder.send("acquire x -1")
        token = holder.expect("held x").split()[2]
        switch.end()
        self.switch_to(after, port)
        self.until(lambda: self.metric(after.port, "mpsync_held") == 1)
        before.signal(signal.SIGTERM)
        self.assertEqual(before.child.wait(), 0)
        self.assertEqual(self.http(after.port, "GET", "/locks/x")[1]["spec"]["token"], token)
        holder.send("held x")
        holder.expect("is_held x 1")
        holder.send("release x")
        holder.expect("released x")

    def test_stopping_elector_releases_nothing(self):
        elector = self.elector(self.file_url)
        holder = self.probe(elector.url, ttl="1h")
        holder.send("acquire x -1")
        holder.expect("held x")
        elector.signal(signal.SIGTERM)
        self.assertEqual(elector.child.wait(), 0)
        rival = self.probe(self.file_url)
        rival.send("acquire x 0")
        rival.expect("busy x")
        holder.send("held x")
        holder.expect("is_held x 1")


class Many(Case):
    def test_more_requests_at_once_than_a_client_has_connections(self):
        """Each has its turn: what one takes together, another asks for and gives up together, and all is given back."""
        elector = self.elector()
        names = [f"n{number}" for number in range(200)]
        holder, other = self.probe(elector.url), self.probe(elector.url)
        self.send_all(holder, [f"acquire {name} -1" for name in names])
        self.assertEqual(self.told(holder, "held", len(names)), set(names))
        self.send_all(other, [f"acquire {name} -1" for name in names] + [f"cancel {name}" for name in names])
        self.assertEqual(self.told(other, "cancelled", len(names)), set(names))
        self.send_all(other, [f"acquire {name} -1" for name in names])
        holder.send("quit")
        self.assertEqual(self.told(other, "held", len(names)), set(names))
        self.send_all(other, [f"release {name}" for name in names])
        self.assertEqual(self.told(other, "released", len(names)), set(names))
        self.assertEqual(self.metric(elector.port, "mpsync_held"), 0)

    @staticmethod
    def send_all(probe, commands):
        probe.send("\n".join(commands))

    @staticmethod
    def told(probe, event, count):
        """The names of the next so many events of that kind."""
        names = []
        while len(names) < count:
            kind, name, *_ = probe.line().split()
            if kind == event:
                names.append(name)
        return set(names)


if __name__ == "__main__":
    unittest.main()
