"""Locks of threads in anyio and trio, by the block that docs/python.md shows."""

import contextlib
import functools
import gc
import re
import threading
import unittest

import anyio
import anyio.to_thread
import metaparticle_sync as sync
import trio
from case import BRIEF_S, PATIENCE_S, ROOT, Case


def documented():
    """The page's block as a function."""
    page = (ROOT / "docs" / "python.md").read_text()
    (block,) = [b for b in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "holding" in b]
    names = {name: getattr(sync, name) for name in ("Client", "Lock")}
    names.update(anyio=anyio, contextlib=contextlib, functools=functools)
    exec(block, names)
    return names["holding"]


class Anyio(Case):
    """On each of anyio's event loops, and in a program of trio's own."""

    holding = staticmethod(documented())

    def on_each(self, scenario):
        async def bounded():
            with anyio.fail_after(PATIENCE_S):
                await scenario()

        before = self.threads()
        for backend in ("asyncio", "trio"):
            with self.subTest(backend):
                anyio.run(bounded, backend=backend)
        with self.subTest("a program of trio"):
            trio.run(bounded)
        gc.collect()
        self.await_that(lambda: self.threads() <= before)

    def threads(self):
        """Of the package; a client of an earlier test may still be closing."""
        return {t for t in threading.enumerate() if t.name.startswith("metaparticle")}

    def test_a_lock_in_threads(self):
        """Acquired by one thread, and released by another."""

        async def scenario():
            lock = self.lock()
            self.assertTrue(await anyio.to_thread.run_sync(lock.acquire))
            self.assertFalse(await anyio.to_thread.run_sync(self.lock().try_acquire))
            await anyio.to_thread.run_sync(lock.release)
            self.assertFalse(lock.is_held())

        self.on_each(scenario)

    def test_a_block(self):
        """Holds, raises LockTimeout instead of running without, tells of a loss, and releases."""

        async def scenario():
            async with self.holding("x", self.url) as held:
                self.assertTrue(held.is_held())
                with self.assertRaises(sync.LockTimeout):
                    async with self.holding("x", self.url, wait=0):
                        self.fail("the block ran")
            self.assertFalse(held.is_held())
            with self.assertRaises(sync.LockLost):
                async with self.holding("x", self.url, ttl=BRIEF_S) as held:
                    self.take_by_force()
                    await anyio.to_thread.run_sync(held.lost.wait)
            self.assertTrue(await anyio.to_thread.run_sync(self.is_free))

        self.on_each(scenario)

    def test_a_wait_that_is_cancelled(self):
        """Ends at once, and nothing stays queued."""

        async def scenario():
            waiting = threading.Event()

            async def wait():
                told = dict(on_waiting=lambda _: waiting.set())
                async with self.holding("x", self.url, **told):
                    self.fail("the block ran")

            async with self.holding("x", self.url) as held, anyio.create_task_group() as group:
                group.start_soon(wait)
                await anyio.to_thread.run_sync(waiting.wait)
                group.cancel_scope.cancel()
            self.assertFalse(held.is_held())
            self.assertTrue(await anyio.to_thread.run_sync(self.is_free))

        self.on_each(scenario)

    def test_cancelled_at_any_moment(self):
        """While it asks, as it is granted or in the block: the name is free again."""

        async def scenario():
            for turn in range(10):
                with anyio.move_on_after(turn * 4e-4):
                    async with self.holding("x", self.url):
                        await anyio.sleep_forever()
                async with self.holding("x", self.url) as held:
                    self.assertTrue(held.is_held())

        self.on_each(scenario)

    def test_more_wait_than_there_are_threads(self):
        """Those who wait do not take the threads that a release needs: each gets its turn."""

        async def scenario():
            anyio.to_thread.current_default_thread_limiter().total_tokens = 1
            inside, turns = [], []

            async def turn():
                async with self.holding("x", self.url):
                    inside.append(None)
                    turns.append(len(inside))
                    await anyio.sleep(0)
                    inside.pop()

            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(turn)
            self.assertEqual(turns, [1] * 5)

        self.on_each(scenario)


if __name__ == "__main__":
    unittest.main()
