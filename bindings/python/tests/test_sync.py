"""Locks and elections over a file of each test's own."""

import asyncio
import contextlib
import gc
import itertools
import pathlib
import queue
import re
import signal
import subprocess
import threading
import unittest

import metaparticle_sync as sync
from case import BRIEF_S, PATIENCE_S, Case
from metaparticle_sync import _native


class Locks(Case):
    def test_one_holds_and_tokens_rise(self):
        """One holds, another does not; a grant that has ended stays ended."""
        one, other = self.lock(), self.lock()
        with one as held:
            self.assertTrue(held.is_held() and one.is_held() and one.locked())
            self.assertGreater(held.remaining(), 0)
            self.assertEqual(one.token, held.token)
            self.assertFalse(other.acquire(blocking=False))
            self.assertFalse(other.try_acquire())
            self.assertFalse(other.acquire(timeout=0.01))
        self.assertFalse(held.is_held())
        self.assertIsNone(one.token)
        with other as later:
            self.assertGreater(later.token, held.token)

    def test_the_first_api(self):
        """Its names, callbacks and exceptions; the lock can be used again."""
        told = []
        lock = sync.Lock(
            "x", self.url, lambda: told.append("acquired"), lambda: told.append("lost")
        )
        for _ in range(2):
            self.assertIs(lock.acquire(), True)
            self.assertRaises(threading.ThreadError, lock.acquire)
            self.assertRaises(sync.AlreadyHeld, lock.acquire, False)
            lock.release()
            self.assertRaises(threading.ThreadError, lock.release)
        self.assertEqual(told, ["acquired", "lost"] * 2)
        self.assertEqual(sync.DEFAULT_BASE_URI, "http://localhost:13131")

    def test_a_block_never_runs_unlocked(self):
        """LockTimeout, whose message names the holder, instead of the block."""
        with self.lock(identity="somebody"), self.assertRaises(sync.LockTimeout) as raised:
            with self.lock(wait="10ms"):
                self.fail("the block ran")
        self.assertIn("somebody", str(raised.exception))
        self.assertIsInstance(raised.exception, TimeoutError)

    def test_a_loss_is_told(self):
        """To the callback, to who waits for it, and at the block's end; it can be had again."""
        told = threading.Event()
        lock = self.lock(ttl=BRIEF_S, on_lost=told.set)
        with self.assertRaises(sync.LockLost), lock as held:
            self.take_by_force()
            held.lost.wait()
            self.assertFalse(held.is_held())
            self.assertRaises(sync.LockLost, held.check)
        told.wait()
        self.assertIn(held.reason, ("revoked", "deleted"))
        told.clear()
        with self.assertRaises(sync.LockLost), lock as held:
            self.assertTrue(held.is_held())
            self.take_by_force()
            told.wait()
            self.assertTrue(held.lost.is_set(), "asked for after the loss alone")

    def test_an_error_of_the_block_wins(self):
        """What the work raises is not hidden by the loss, and the lock is free."""
        with self.assertRaises(ZeroDivisionError), self.lock(ttl=BRIEF_S) as held:
            self.take_by_force()
            held.lost.wait()
            raise ZeroDivisionError
        with contextlib.suppress(ZeroDivisionError), self.lock():
            raise ZeroDivisionError
        self.assertTrue(self.lock().try_acquire())

    def test_synchronized(self):
        """A decorated function has the lock, and keeps its name and result."""

        @sync.synchronized("x", url=self.url)
        def work(number):
            return number, self.lock().try_acquire()

        self.assertEqual(work(7), (7, False))
        self.assertEqual(work.__name__, "work")

    def test_bad_arguments(self):
        """Each is refused with what is wrong, by a class that says so."""
        for name in ("", "a\0b", "\ud800", "n" * 1025):
            self.assertRaises(sync.InvalidArgument, sync.Lock, name, self.url)
        self.assertRaises(TypeError, sync.Lock, 7, self.url)
        self.assertRaises(TypeError, self.lock, ttl=[])
        self.assertRaises(ValueError, self.lock, ttl="soon")
        self.assertRaises(ValueError, self.lock, ttl=0.001)
        self.assertRaises(ValueError, sync.Lock, "x", "gopher:x")
        self.assertRaises(ValueError, self.lock().acquire, timeout=-2)
        self.assertRaises(ValueError, self.lock().acquire, timeout=float("nan"))
        with self.assertRaises(sync.StoreError) as raised:
            sync.Lock("x", "http://127.0.0.1:1").acquire(False)
        self.assertIn("mpsync elector", str(raised.exception))
        self.assertEqual(raised.exception.status, -4)
        self.assertTrue(issubclass(sync.StoreError, sync.SyncError))

    def test_a_callback_that_raises(self):
        """It comes out of the call, and the lock is held; a block is not entered."""

        def broken():
            raise ZeroDivisionError

        lock = sync.Lock("x", self.url, lock_callback=broken)
        self.assertRaises(ZeroDivisionError, lock.acquire)
        self.assertTrue(lock.is_held())
        lock.release()
        with self.assertRaises(ZeroDivisionError), lock:
            self.fail("the block ran")
        self.assertFalse(lock.is_held())

    def test_cancelling(self):
        """Another thread ends the waiting."""
        waiting = self.lock()
        ended = queue.SimpleQueue()

        def wait():
            try:
                waiting.acquire()
            except sync.Cancelled as error:
                ended.put(error)

        with self.lock():
            thread = threading.Thread(target=wait)
            thread.start()
            while thread.is_alive():
                waiting.cancel()
                thread.join(0.001)
        self.assertIsInstance(ended.get(), sync.Cancelled)
        self.assertTrue(waiting.try_acquire())

    def test_dropping(self):
        """A lock that nobody has any more is free again."""
        self.lock().acquire()
        gc.collect()
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))


class Processes(Case):
    def test_ctrl_c_ends_the_waiting(self):
        """A program that waits for a lock is stopped by SIGINT, as any other."""
        with self.lock():
            process = self.program(
                "import metaparticle_sync, signal, threading\n"
                # A background job of a shell starts with it ignored.
                "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
                "threading.Timer(0, lambda: print('waiting', flush=True)).start()\n"
                "metaparticle_sync.Lock('x').acquire()"
            )
            self.assertEqual(process.stdout.readline(), "waiting\n")
            # Again where it came a moment before the waiting: not while what it raised is told.
            while process.poll() is None:
                process.send_signal(signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
            self.assertIn("KeyboardInterrupt", process.stderr.read())
        self.assertTrue(self.lock().try_acquire())

    def test_an_exit_while_holding_releases(self):
        """The interpreter ends without a word, and the next holder need not wait for the ttl."""
        process = self.program("import metaparticle_sync as s; lock = s.Lock('x'); lock.acquire()")
        self.assertEqual(process.communicate(timeout=PATIENCE_S), ("", ""))
        self.assertEqual(process.returncode, 0)
        self.assertTrue(self.lock().try_acquire())

    def test_fork(self):
        """Locks made before a fork work in the child, which holds nothing of its parent's."""
        process = self.program(
            "import metaparticle_sync as s, os\n"
            "lock, other = s.Lock('x'), s.Lock('y')\n"
            "lock.acquire()\n"
            "child = os.fork()\n"
            "if child == 0:\n"
            "    assert not lock.is_held() and not lock.try_acquire()\n"
            "    with other as held: print('child', held.is_held(), flush=True)\n"
            "    os._exit(0)\n"
            "assert os.waitpid(child, 0)[1] == 0\n"
            "print('parent', lock.is_held())\n"
            "lock.release()"
        )
        output, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((output, errors), ("child True\nparent True\n", ""))

    def test_workers_of_a_pool_take_turns(self):
        """Forked workers that use one lock of their parent add up without a loss."""
        number = self.folder / "number"
        number.write_text("0")
        process = self.program(
            "import metaparticle_sync, multiprocessing, pathlib\n"
            "lock = metaparticle_sync.Lock('x')\n"
            "def turn(file):\n"
            "    with lock: file.write_text(str(int(file.read_text()) + 1))\n"
            f"file = pathlib.Path({str(number)!r})\n"
            "multiprocessing.get_context('fork').Pool(4).map(turn, [file] * 40)"
        )
        self.assertEqual(process.communicate(timeout=PATIENCE_S)[0], "")
        self.assertEqual(number.read_text(), "40")


class Elections(Case):
    def test_the_first_api(self):
        """Told at both ends of a term, again after a loss, and at the end."""
        told = queue.SimpleQueue()
        election = sync.Election(
            "x", lambda: told.put("master"), lambda: told.put("lost"), self.url, ttl=BRIEF_S
        )
        thread = threading.Thread(target=election.run)
        thread.start()
        self.assertEqual(told.get(), "master")
        self.assertRaises(sync.AlreadyHeld, election.run)
        self.take_by_force()
        self.assertEqual([told.get(), told.get()], ["lost", "master"])
        election.shutdown()
        thread.join()
        self.assertEqual(told.get(), "lost")
        self.assertTrue(self.lock().try_acquire())

    def test_shutdown_of_a_candidate(self):
        """It ends the waiting, and the election can run again."""
        election = self.election()
        with self.lock():
            thread = threading.Thread(target=election.run)
            thread.start()
            while thread.is_alive():
                election.shutdown()
                thread.join(0.001)

    def test_observing(self):
        """Observers see nobody, the leader, its new value, and nobody again."""
        election = self.election(identity="me")
        seen = self.election().observe()
        self.assertIsNone(next(seen))
        term = election.campaign("one")
        self.assertEqual(next(seen), sync.Leader("me", "one", term.token))
        election.set_value("zwei🔑")
        self.assertEqual(next(seen).value, "zwei🔑")
        self.assertEqual(election.leader().holder, "me")
        self.assertTrue(election.is_leader())
        election.resign()
        self.assertIsNone(next(seen))
        seen.close()
        self.assertRaises(sync.NotHeld, election.resign)
        self.assertRaises(sync.NotHeld, election.set_value, "three")

    def test_a_campaign_times_out(self):
        """With the exception of every wait."""
        with self.lock():
            self.assertRaises(sync.LockTimeout, self.election().campaign, timeout=0.01)


class Asyncio(Case):
    def lock(self, **options):
        return sync.AsyncLock("x", url=self.url, **options)

    def test_a_block_releases(self):
        """One holds, another waits its turn, without a thread."""

        async def both():
            async with self.lock() as held:
                self.assertTrue(held.is_held())
                self.assertFalse(await self.lock().try_acquire())
            other = self.lock()
            self.assertTrue(await other.acquire(timeout=PATIENCE_S))
            with self.assertRaises(sync.AlreadyHeld):
                await other.acquire()
            await other.release()
            with self.assertRaises(sync.NotHeld):
                await other.release()

        asyncio.run(both())

    def test_cancelling_withdraws(self):
        """A task that is cancelled while it waits leaves nothing behind."""

        async def cancelled():
            waiting = self.lock()
            async with self.lock():
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(waiting.acquire(), 0.01)
            self.assertTrue(await waiting.try_acquire())

        asyncio.run(cancelled())

    def test_a_loss_cancels_the_task(self):
        """The block is left at its next await, and raises LockLost."""

        async def lose():
            with self.assertRaises(sync.LockLost):
                async with self.lock(ttl=BRIEF_S):
                    self.take_by_force()
                    await asyncio.Event().wait()
            async with self.lock() as held:
                self.assertTrue(held.is_held())

        asyncio.run(lose())

    def test_a_thousand_wait(self):
        """In one process, without a thread each, and each gets its turn."""

        async def turn(turns):
            async with self.lock():
                turns.append(None)

        async def all_of_them():
            turns = []
            async with self.lock():
                waiting = [asyncio.ensure_future(turn(turns)) for _ in range(1000)]
                await asyncio.sleep(0)
                self.assertLess(threading.active_count(), 10)
            await asyncio.gather(*waiting)
            return len(turns)

        self.url = "memory:thousand"
        self.assertEqual(asyncio.run(all_of_them()), 1000)

    def test_elections(self):
        """A term as a block, and its observers."""

        async def lead():
            election = sync.AsyncElection("x", url=self.url, identity="me", value="one")
            seen = sync.AsyncElection("x", url=self.url).observe()
            self.assertIsNone(await seen.__anext__())
            async with election as term:
                self.assertEqual(await seen.__anext__(), sync.Leader("me", "one", term.token))
                await election.set_value("two")
                self.assertEqual((await election.leader()).value, "two")
                self.assertEqual((await seen.__anext__()).value, "two")
            self.assertIsNone(await seen.__anext__())
            await seen.aclose()
            with self.assertRaises(sync.NotHeld):
                await election.resign()

        asyncio.run(lead())


class Interface(unittest.TestCase):
    def test_the_header_and_the_module_name_the_same(self):
        """Every function of the header is there, but for what events as tuples do without."""
        header = pathlib.Path(__file__).resolve().parents[3] / "include" / "mpsync.h"
        functions = set(re.findall(r"\b(mpsync_[a-z_]+)\(", header.read_text()))
        there = {name for name in dir(_native) if name.startswith("mpsync_")}
        self.assertEqual(functions - there, {"mpsync_event_free"})


class Threads(Case):
    def test_a_waiting_thread_stops_nobody(self):
        """While one thread waits for a lock another runs Python."""
        with self.lock():
            waiting = self.lock()
            thread = threading.Thread(target=waiting.acquire)
            thread.start()
            self.assertEqual(sum(1 for _ in itertools.islice(itertools.count(), 100000)), 100000)
        thread.join()
        waiting.release()


if __name__ == "__main__":
    unittest.main()
