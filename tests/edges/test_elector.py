"""What an elector answers at its edges: whose locks it gives back, and what it costs to ask."""
import pathlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from support import MPSYNC, Case, free_port  # noqa: E402


def once_computed(holder, name):
    """The anonymous claim as it was made before it had a key: from what every GET shows."""
    mask = 2**64 - 1
    first, second = 14695981039346656037, 1099511628211
    for byte in (holder + name).encode():
        first = (first ^ byte) * 1099511628211 & mask
        second = ((second + byte) * 6364136223846793005 + first) & mask
    return (first.to_bytes(8, "little") + second.to_bytes(8, "little")).hex()


class Closing(Case):
    def test_a_client_is_closed_when_the_last_of_its_locks_is_released(self):
        """However long its elector takes, as long as the right lasts."""
        elector = self.elector()
        holder = self.probe(elector.url, ttl="1h")
        for name in "xy":
            holder.send(f"acquire {name} -1")
            holder.expect(f"held {name}")
        elector.signal(signal.SIGSTOP)
        holder.send("close")
        threading.Event().wait(1.5)
        elector.signal(signal.SIGCONT)
        self.assertEqual({holder.expect("released")[:10] for _ in range(2)}, {"released x", "released y"})
        holder.expect("done")
        self.assertEqual(self.mpsync("ls", "--json", url=elector.url, check=0).stdout, "")


class AnonymousHolder(Case):
    """All callers of the old wire are one holder, and only this elector speaks for it."""

    def elector_of(self, pod, folder):
        port = free_port()
        said = f"{self.folder}/said-{port}"
        with open(said, "w") as stderr:
            elector = self.start([MPSYNC, "elector", "--store", self.file_url, "--listen", f"127.0.0.1:{port}"],
                                 {"POD_UID": pod, "XDG_STATE_HOME": f"{self.folder}/{folder}"}, stderr=stderr)
        elector.said = pathlib.Path(said).read_text
        self.until(lambda: self.http(port, "GET", "/healthz")[0] == 200)
        return elector, port

    def test_its_claim_cannot_be_computed_from_what_is_shown(self):
        _, port = self.elector_of("pod-1", "state")
        status, lock = self.http(port, "PUT", "/locks/a")
        self.assertEqual((status, lock["spec"]["owner"]), (200, "pod-1"))
        claim = once_computed("pod-1", "a")
        stranger = {"holder": "pod-1", "claim": claim, "token": lock["spec"]["token"]}
        _, other = self.elector_of("pod-2", "other")
        for asked in (port, other):
            self.http(asked, "DELETE", "/locks/a", {"holder": "pod-1", "claim": claim})
            self.http(asked, "DELETE", "/locks/a", stranger)
            self.assertEqual(self.http(asked, "GET", "/locks/a")[1]["spec"]["owner"], "pod-1")
            self.assertNotEqual(self.http(asked, "PUT", "/locks/a", stranger)[0], 200)

    def test_its_key_outlives_the_elector_and_is_its_user_s_alone(self):
        for pod, name in (("pod-1", "pod-key"), ("", "elector-key")):
            key = pathlib.Path(self.folder, "no", "such", "state", "mpsync", name)
            keys = []
            for _ in range(2):
                elector, _ = self.elector_of(pod, "no/such/state")
                keys.append(key.read_text())
                self.assertEqual(key.stat().st_mode & 0o777, 0o600)
                elector.end()
                self.assertNotIn("without a holder", elector.said())
            self.assertEqual(keys[0], keys[1])
            self.assertRegex(keys[0], "^[0-9a-f]{32}$")

    def test_a_key_that_cannot_be_kept_is_told(self):
        pathlib.Path(self.folder, "a-file").touch()
        for pod in ("pod-1", ""):
            elector, _ = self.elector_of(pod, "a-file")
            self.assertRegex(elector.said(), "-(key|id): Not a directory: what callers without a holder have ends with")

    def test_another_state_folder_is_another_holder_even_under_the_same_name(self):
        _, port = self.elector_of("pod-1", "state")
        self.assertEqual(self.http(port, "PUT", "/locks/a")[0], 200)
        _, other = self.elector_of("pod-1", "other")
        self.assertEqual(self.http(other, "PUT", "/locks/a")[0], 409)

    def test_two_electors_with_one_state_folder_are_two_holders(self):
        for name, pods in (("a", ("", "")), ("b", ("pod-1", "pod-2"))):
            _, port = self.elector_of(pods[0], "state")
            self.assertEqual(self.http(port, "PUT", f"/locks/{name}")[0], 200)
            other, port = self.elector_of(pods[1], "state")
            self.assertEqual(self.http(port, "PUT", f"/locks/{name}")[0], 409)
            self.assertEqual("another elector has it" in other.said(), not pods[0])

    def test_two_electors_of_one_pod_are_one_holder(self):
        for _ in range(2):
            _, port = self.elector_of("pod-1", "state")
            self.assertEqual(self.http(port, "PUT", "/locks/a")[0], 200)


class DeletedByHand(Case):
    """What a hand deletes is lost, and yet goes to nobody before its client has stopped to believe in it."""

    def test_the_elector_s_next_waiter_gets_nothing_before_told_until(self):
        port = self.elector(self.file_url).port
        asked = time.monotonic()
        status, lock = self.http(port, "PUT", "/locks/a", {"holder": "one", "claim": "1" * 32, "ttl": "3s"})
        self.assertEqual(status, 200)
        store = sqlite3.connect(f"{self.folder}/locks.db", isolation_level=None)
        self.addCleanup(store.close)
        store.execute("DELETE FROM lock")
        status, _ = self.http(port, "PUT", "/locks/a",
                              {"holder": "two", "claim": "2" * 32, "ttl": "3s", "wait": "60s"})
        self.assertEqual(status, 200)
        self.assertGreaterEqual(time.monotonic() - asked, float(lock["spec"]["remaining"][:-1]))


if __name__ == "__main__":
    unittest.main()
