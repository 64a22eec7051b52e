"""An elector that is stopped, and not dead: its kernel takes connections, and nobody answers on them."""
import pathlib
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from promises import Deafness  # noqa: E402
from support import Case  # noqa: E402


class StoppedElector(Case):
    def setUp(self):
        super().setUp()
        self.stopped = self.elector(f"file:{self.folder}/locks.db")

    def stop(self):
        self.stopped.signal(signal.SIGSTOP)

    def test_a_try_and_a_short_wait_are_no_busy_name(self):
        """They end by themselves, before and after the stream is open."""
        self.stop()
        for wait in ("0", "1s"):
            done = self.mpsync("lock", "--ttl", "6s", "--wait", wait, "x", "--", "true",
                               url=self.stopped.url, check=122)
            self.assertIn("does not answer", done.stderr)

    def test_a_try_of_a_client_that_was_answered_before(self):
        client = self.probe(self.stopped.url, ttl="6s")
        client.send("acquire y -1")
        client.expect("held y")
        self.stop()
        client.send("acquire x 0")
        # What it holds ends some time as well.
        while not (told := client.expect("failed x", "lost y")).startswith("failed"):
            pass
        self.assertIn("does not answer", told)

    def test_a_try_behind_a_claim_that_leaves(self):
        client = self.probe(self.stopped.url, ttl="6s")
        self.stop()
        client.send("acquire x -1")
        client.send("cancel x")
        client.expect("cancelled x")
        client.send("acquire x 0")
        self.assertIn("does not answer", client.expect("failed x"))


class DeafConnection(Deafness, Case):
    def test_observers_notice(self):
        elector = self.elector()
        self.observers_notice(*self.wire_to(elector.port, elector.url), elector.url)

    def test_a_waiter_notices(self):
        """Its stream is silent, and so is whatever else it has: it asks over new connections, and hears of its turn."""
        elector = self.elector()
        wire, url = self.wire_to(elector.port, elector.url)
        holder, waiter = self.probe(elector.url, ttl="1h"), self.probe(url, ttl="3s")
        holder.send("acquire x -1")
        holder.expect("held x")
        waiter.send("acquire x -1")
        waiter.expect("waiting x")
        wire.deafen(3)
        holder.send("release x")
        holder.expect("released x")
        waiter.expect("held x")

    def test_a_waiter_that_was_never_answered_notices(self):
        """The elector's kernel took its connection, and nobody says hello there."""
        elector = self.elector()
        wire, url = self.wire_to(elector.port, elector.url)
        wire.deafen(1)
        waiter = self.probe(url, ttl="3s")
        waiter.send("acquire x -1")
        waiter.expect("held x")


if __name__ == "__main__":
    unittest.main()
