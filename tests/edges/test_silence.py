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
        client.send("acquire y 0")
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
        self.observers_notice(elector.port, elector.url)


if __name__ == "__main__":
    unittest.main()
