"""The elector's HTTP: both wires, every documented error, clients that go away."""
import json
import socket
import sqlite3
import struct
import unittest

from old_clients import OldClients
from promises import Pages
from support import Case

CLAIM = "1" * 32
OTHER = "2" * 32


class Wire(Case):
    def setUp(self):
        super().setUp()
        self.port = self.elector().port

    def put(self, name, claim=CLAIM, **fields):
        return self.http(self.port, "PUT", f"/locks/{name}",
                         {"holder": "w", "claim": claim, **fields})

    def delete(self, name, claim=CLAIM, **fields):
        return self.http(self.port, "DELETE", f"/locks/{name}",
                         {"holder": "w", "claim": claim, **fields})

    def expect_error(self, answer, status, code):
        self.assertEqual((answer[0], answer[1].get("code")), (status, code), answer)
        self.assertTrue(answer[1]["message"])


class OldWire(Wire):
    def test_old_clients(self):
        status, lock = self.http(self.port, "PUT", "/locks/a")
        self.assertEqual((status, lock["metadata"]["name"]), (200, "a"))
        self.assertEqual(self.http(self.port, "PUT", "/locks/a")[0], 200)
        self.assertEqual(self.http(self.port, "GET", "/locks/a")[0], 200)
        self.assertEqual(self.http(self.port, "GET", "/locks/b")[0], 404)
        self.assertEqual(self.http(self.port, "POST", "/locks/a")[0], 409)
        named = {"metadata": {"name": "c"}}
        self.assertEqual(self.http(self.port, "POST", "/locks", named)[0], 200)
        self.assertEqual(self.http(self.port, "PUT", "/locks", named)[0], 200)

    def test_named_holder_excludes_the_anonymous_one(self):
        self.assertEqual(self.put("a")[0], 200)
        status, lock = self.http(self.port, "PUT", "/locks/a")
        self.assertEqual((status, lock["spec"]["owner"]), (409, "w"))


class PagesInMemory(Pages, Case):
    url = "memory:"


class PagesOfAFile(Pages, Case):
    def setUp(self):
        super().setUp()
        self.url = self.file_url


class OldClientsOfAFile(OldClients, Case):
    def setUp(self):
        super().setUp()
        self.url = self.file_url


class OldWireInAnOutage(Case):
    """Old clients know 200, 404 and 409 alone: with the store out of reach they see nothing else."""

    def test_only_what_old_clients_know(self):
        port = self.elector(self.file_url).port
        self.assertEqual(self.http(port, "PUT", "/locks/mine")[0], 200)
        store = sqlite3.connect(f"{self.folder}/locks.db", isolation_level=None)
        self.addCleanup(store.close)
        store.execute("BEGIN EXCLUSIVE")
        self.assertEqual(self.http(port, "PUT", "/locks/mine")[0], 200)
        self.assertEqual(self.http(port, "GET", "/locks/mine")[0], 200)
        status, answer = self.http(port, "PUT", "/locks/other")
        self.assertEqual(status, 409)
        self.assertTrue(answer["message"])
        store.execute("ROLLBACK")
        self.until(lambda: self.http(port, "PUT", "/locks/other")[0] == 200)


class NewWire(Wire):
    def test_acquire_renew_release(self):
        status, lock = self.put("a", ttl="1h", value="v")
        self.assertEqual(status, 200)
        token = lock["spec"]["token"]
        self.assertEqual(self.put("a", token=token)[1]["spec"]["token"], token)
        self.assertEqual(self.put("a")[1]["spec"]["token"], token)
        self.expect_error(self.put("a", OTHER), 409, "held")
        self.assertEqual(self.put("a", token=token, value="w")[1]["spec"]["value"], "w")
        self.assertEqual(self.delete("a", token=token)[0], 200)
        self.expect_error(self.put("a"), 409, "cancelled")
        self.expect_error(self.put("a", token=token), 409, "lost")
        self.expect_error(self.delete("a", token=token), 409, "lost")

    def test_names_are_bytes(self):
        for name, plain in (("%2E%2E", ".."), ("a%2Fb", "a/b"), ("%F0%9D%84%9E", "𝄞"), ("a//b", "a//b")):
            status, lock = self.http(self.port, "PUT", f"/locks/{name}")
            self.assertEqual((status, lock["metadata"]["name"]), (200, plain))

    def test_lists_in_pages(self):
        for name in "cab":
            self.http(self.port, "PUT", f"/locks/page{name}")
        status, first = self.http(self.port, "GET", "/locks?prefix=page&limit=2")
        self.assertEqual([lock["metadata"]["name"] for lock in first["items"]], ["pagea", "pageb"])
        rest = self.http(self.port, "GET", f"/locks?prefix=page&continue={first['continue']}")[1]
        self.assertEqual([lock["metadata"]["name"] for lock in rest["items"]], ["pagec"])

    def test_errors(self):
        port = self.port
        for fields in ({"holder": ""}, {"claim": "x"}, {"ttl": "soon"}, {"ttl": 15}, {"nonsense": 1},
                       {"token": 5}, {"wait": "9m"}, {"type": "x"}, {"queue": True},
                       {"value": "v" * 20000}, {"token": "1", "wait": "1s"}):
            body = {"holder": "w", "claim": CLAIM, **fields}
            self.expect_error(self.http(port, "PUT", "/locks/a", body), 400, "invalid")
        self.expect_error(self.http(port, "PUT", "/locks/a", '{"holder":"a","holder":"b"}'), 400, "invalid")
        self.expect_error(self.http(port, "PUT", "/locks/a", "{"), 400, "invalid")
        self.expect_error(self.http(port, "PUT", "/locks/a", "[]"), 400, "invalid")
        self.expect_error(self.http(port, "PUT", "/locks/%ff"), 400, "invalid")
        self.expect_error(self.http(port, "PUT", "/locks/%zz"), 400, "invalid")
        self.expect_error(self.http(port, "PUT", "/locks/" + "a" * 1025), 400, "invalid")
        self.expect_error(self.http(port, "DELETE", "/locks/a"), 400, "invalid")
        self.expect_error(self.http(port, "GET", "/locks/free"), 404, "free")
        self.expect_error(self.http(port, "GET", "/nope"), 404, "no_such_path")
        self.expect_error(self.http(port, "PATCH", "/locks/a"), 405, "method")
        self.expect_error(self.http(port, "PUT", "/locks/a", " " * 70000), 413, "too_large")
        self.expect_error(self.http(port, "GET", "/locks/a?" + "x" * 9000), 414, "too_large")
        self.expect_error(self.http(port, "GET", "/locks", headers={"X": "y" * 17000}), 431, "too_large")
        self.expect_error(self.http(port, "GET", "/locks", headers={"Host": "evil.example"}), 421, "wrong_host")
        self.expect_error(self.http(port, "GET", "/locks", headers={"Origin": "http://evil.example"}), 403, "forbidden")
        self.expect_error(self.http(port, "GET", "/locks", headers={"Sec-Fetch-Site": "cross-site"}), 403, "forbidden")
        self.expect_error(self.http(port, "DELETE", "/locks/a", {"force": True}), 403, "forbidden")
        session = {"Mpsync-Session": "3" * 32}
        self.expect_error(self.http(port, "PUT", "/holders/w", {}, session), 404, "unknown_session")
        self.expect_error(self.http(port, "PUT", "/holders/w", {}), 400, "invalid")
        self.put("b")
        self.expect_error(self.put("b", token="1"), 400, "invalid")
        self.expect_error(self.put("b", ttl="5s"), 400, "invalid")
        self.expect_error(self.put("other"), 400, "invalid")

    def test_methods(self):
        self.assertEqual(self.http(self.port, "OPTIONS", "/locks/a")[0], 204)
        self.assertEqual(self.http(self.port, "HEAD", "/locks/free")[0], 404)
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.yaml"):
            self.assertEqual(self.http(self.port, "GET", path)[0], 200)


class GoingAway(Wire):
    """A client that waits may send bytes, half-close, close or reset: the elector lives on (rule 45)."""

    def waiting(self, claim):
        body = json.dumps({"holder": "w2", "claim": claim, "wait": "5m"}).encode()
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(b"PUT /locks/a HTTP/1.1\r\nHost: localhost:%d\r\nContent-Length: %d\r\n\r\n%s"
                           % (self.port, len(body), body))
        self.until(lambda: self.metric(self.port, "mpsync_waiters") == 1)
        return connection

    def gone(self):
        self.until(lambda: self.metric(self.port, "mpsync_waiters") == 0)
        self.assertEqual(self.http(self.port, "GET", "/healthz")[0], 200)

    def setUp(self):
        super().setUp()
        # Longer than anybody looks: who waits goes because its client went, not because it is its turn.
        self.assertEqual(self.put("a", ttl="1h")[0], 200)

    def test_bytes_then_close(self):
        connection = self.waiting(OTHER)
        connection.sendall(b"x" * 1000)
        connection.close()
        self.gone()

    def test_half_close(self):
        connection = self.waiting(OTHER)
        connection.shutdown(socket.SHUT_WR)
        self.gone()
        connection.close()

    def test_reset(self):
        connection = self.waiting(OTHER)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        self.gone()

    def test_late_grant_is_given_back(self):
        connection = self.waiting(OTHER)
        connection.close()
        self.assertEqual(self.delete("a")[0], 200)
        self.until(lambda: self.http(self.port, "GET", "/locks/a")[0] == 404)


if __name__ == "__main__":
    unittest.main()
