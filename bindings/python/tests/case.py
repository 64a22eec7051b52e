"""What the tests share: a file of each test's own, and programs on it."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import metaparticle_sync as sync
from metaparticle_sync import _client, _native

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.append(str(ROOT / "tests" / "integration"))
from support import free_port  # noqa: E402

PATIENCE_S = 120
# Of rights that are taken away: their holder learns it by its next renewal, a third of this later.
# Until then they must not run out by themselves, however slow the machine is.
BRIEF_S = 6


class Case(unittest.TestCase):
    """A store that nobody else has."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mpsync-"))
        # A client that nobody refers to any more may still be closing, and write.
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.url = f"file:{self.folder}/locks.db"

    def lock(self, **options):
        return sync.Lock("x", url=self.url, **options)

    def election(self, *callbacks, **options):
        return sync.Election("x", *callbacks, url=self.url, **options)

    def is_free(self):
        """Whether the name is to be had at once; it is given back."""
        try:
            with self.lock(wait=0):
                return True
        except sync.LockTimeout:
            return False

    def take_by_force(self):
        client = _client.client_of(self.url)  # kept while its C handle is used
        _native.mpsync_client_force_release(client.native, "x", 1)

    def in_thread(self, call, *arguments):
        """Call it on a thread of its own, whose end the test awaits."""
        thread = threading.Thread(target=call, args=arguments)
        thread.start()
        self.addCleanup(self.join, thread)
        return thread

    def join(self, thread):
        thread.join(PATIENCE_S)
        self.assertFalse(thread.is_alive(), "a thread goes on")

    def await_that(self, condition):
        """Until it is true; what it waits for has no event of its own."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), end, "it does not happen")
            time.sleep(0.002)

    def program(self, text, **how):
        """A Python process of its own, on this test's store."""
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text],
            env={**os.environ, "MPSYNC_URL": self.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **how,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def elector(self):
        """An elector on this test's file, which the test's locks and programs use from now on."""
        build = pathlib.Path(os.environ.get("MPSYNC_BUILD", ROOT / "build"))
        address = f"127.0.0.1:{free_port()}"
        process = subprocess.Popen(
            [build / "bin" / "mpsync", "elector", "--store", self.url, "--listen", address],
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.url = "http://" + address
        self.lock().acquire(timeout=PATIENCE_S)  # waits until it listens; dropped at once
        return process
