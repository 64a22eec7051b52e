"""Electors over etcd: several at once, stopped ones that come back, and who adopts what."""
import base64
import concurrent.futures
import json
import signal
import threading
import time
import unittest

from cases import EtcdCase
from old_clients import OldClients
from support import free_port

FIRST, SECOND = "1" * 32, "2" * 32


class OldClientsOverEtcd(OldClients, EtcdCase):
    def token(self, port, name):
        return self.http(port, "GET", f"/locks/{name}")[1]["spec"]["token"]

    def outage(self, port, name, back_s):
        """Whether it outlasts an etcd that is started so late after it was asked for, and when that etcd answered."""
        asked = time.monotonic()
        self.assertEqual(self.old_put(port, name), 200)
        token = self.token(port, name)
        self.cluster[0].kill()
        threading.Event().wait(asked + back_s - time.monotonic())
        self.cluster[0].start()
        self.until(lambda: self.etcdctl("endpoint", "health").returncode == 0)
        answered_s = time.monotonic() - asked
        threading.Event().wait(asked + 32 - time.monotonic())
        self.until(lambda: self.old_put(port, name) == 200)
        return self.token(port, name) == token, answered_s

    def test_an_etcd_that_comes_back_just_before_a_right_ends_saves_it(self):
        """The right of an old client's request is 30 s, whatever it does meanwhile."""
        port = free_port()
        self.elector_at(port, {"HOME": self.folder})
        for back_s in (27, 24, 21, 18):
            kept, answered_s = self.outage(port, f"old/{back_s}", back_s)
            # Where etcd takes longer than that to begin, nothing is shown: it is started earlier then.
            if kept or answered_s < 28:
                break
        self.assertTrue(kept, "it was lost, and taken anew")


class Electors(EtcdCase):
    def asked(self, elector, method, body):
        """As clients ask: again, while the elector is in doubt (a turn that came between two requests, a late store)."""
        answers = []

        def is_certain():
            answers.append(self.http(elector.port, method, "/locks/x", body))
            return answers[-1][0] != 503

        self.until(is_certain)
        return answers[-1]

    def put(self, elector, claim, holder="h1", **fields):
        return self.asked(elector, "PUT", {"holder": holder, "claim": claim, "ttl": "30s", **fields})

    def delete(self, elector, claim, **fields):
        return self.asked(elector, "DELETE", {"holder": "h1", "claim": claim, **fields})

    def taken(self, elector, claim):
        status, lock = self.put(elector, claim)
        self.assertEqual(status, 200, lock)
        return lock["spec"]["token"]

    def queue(self):
        """Each place in the queue of x, as etcd has it."""
        found = json.loads(self.etcdctl("get", "--prefix", "-w", "json", "x/").stdout).get("kvs", [])
        return [{**key, "text": base64.b64decode(key["key"]).decode()} for key in found]

    def places(self):
        """Their revisions, as they came."""
        return sorted(key["create_revision"] for key in self.queue())

    def test_who_waits_is_not_let_in_by_the_revision_of_its_place(self):
        one, other = self.elector(self.url), self.elector(self.url)
        token = self.taken(one, FIRST)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.put, other, SECOND, holder="h2", wait="5m")
            self.until(lambda: len(self.places()) == 2)
            pretended = str(self.places()[1])
            status, answer = self.put(one, SECOND, holder="h2", token=pretended)
            self.assertEqual((status, answer.get("code")), (409, "lost"), answer)
            status, lock = self.put(one, FIRST, token=token)
            self.assertEqual((status, lock["spec"]["token"]), (200, token))
            self.assertEqual(self.delete(one, FIRST, token=token)[0], 200)
            self.assertEqual(waiting.result()[0], 200)

    def test_a_stopped_elector_that_comes_back_releases_nothing_that_another_adopted(self):
        one, other = self.elector(self.url), self.elector(self.url)
        token = self.taken(one, FIRST)
        one.signal(signal.SIGSTOP)
        status, lock = self.put(other, FIRST, token=token)
        self.assertEqual((status, lock["spec"]["token"]), (200, token))
        one.signal(signal.SIGCONT)
        # It has seen that it is with the other when it holds nothing any more.
        self.until(lambda: self.metric(one.port, "mpsync_held") == 0)
        status, lock = self.put(other, FIRST, token=token)
        self.assertEqual((status, lock["spec"]["token"]), (200, token))
        self.assertEqual(self.places(), [int(token)])
        self.assertEqual(self.delete(other, FIRST, token=token)[0], 200)
        self.assertEqual(self.places(), [])

    def test_a_former_elector_queues_for_the_name_that_another_adopted_from_it(self):
        """Its own place in the queue is taken: it must not be cleared."""
        one, other = self.elector(self.url), self.elector(self.url)
        token = self.taken(one, FIRST)
        self.assertEqual(self.put(other, FIRST, token=token)[0], 200)
        self.until(lambda: self.metric(one.port, "mpsync_held") == 0)
        self.assertEqual(self.put(one, SECOND, holder="h2", wait="0.5s")[0], 409)
        status, lock = self.put(other, FIRST, token=token)
        self.assertEqual((status, lock["spec"]["token"]), (200, token))
        self.assertEqual(self.delete(other, FIRST, token=token)[0], 200)
        status, lock = self.put(one, SECOND, holder="h2", wait="60s")
        self.assertEqual(status, 200)
        self.assertGreater(int(lock["spec"]["token"]), int(token))

    def test_two_adopt_at_once(self):
        before, one, other = (self.elector(self.url) for _ in range(3))
        token = self.taken(before, FIRST)
        before.end()
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda elector: self.put(elector, FIRST, token=token), (one, other)))
        kept = [lock["spec"]["token"] for status, lock in answers if status == 200]
        self.assertTrue(kept)
        self.assertEqual(set(kept), {token})
        self.assertEqual(self.places(), [int(token)])
        holding = one if answers[0][0] == 200 else other
        self.until(lambda: self.delete(holding, FIRST, token=token)[0] in (200, 409))
        self.until(lambda: self.places() == [])

    def test_who_holds_writes_over_an_adoption_that_is_announced(self):
        """What the other elector asks of etcd may be done long after: then it must not be done any more."""
        one = self.elector(self.url)
        status, lock = self.put(one, FIRST, ttl="15s")
        self.assertEqual(status, 200)
        [place] = self.queue()
        self.etcdctl("put", "--ignore-value", "--ignore-lease", place["text"])
        [announced] = self.queue()
        self.assertGreater(announced["mod_revision"], place["mod_revision"])
        self.until(lambda: self.queue()[0]["mod_revision"] > announced["mod_revision"])
        [written] = self.queue()
        for field in ("value", "lease", "create_revision"):
            self.assertEqual(written[field], place[field])
        status, again = self.put(one, FIRST, ttl="15s")
        self.assertEqual((status, again["spec"]["token"]), (200, lock["spec"]["token"]))

    def test_what_was_adopted_for_nobody_is_given_back(self):
        """Its client is gone before the adoption is told: its right's length later the next one has it."""
        before, one = self.elector(self.url), self.elector(self.url)
        token = self.taken(before, FIRST)
        before.end()
        self.assertEqual(self.put(one, FIRST, token=token)[0], 200)
        waiter = self.probe(self.url)
        waiter.send("acquire x -1")
        self.assertGreater(self.token_of(waiter.expect("held x")), int(token))


if __name__ == "__main__":
    unittest.main()
