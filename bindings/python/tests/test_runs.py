"""Term after term: lead(), stop(), run(), shutdown(), for threads and for asyncio."""

import asyncio
import contextlib
import itertools
import logging
import queue
import signal
import threading
import unittest

import metaparticle_sync as sync
from case import BRIEF_S, PATIENCE_S, Case


class Work:
    """What a test lets a leader do: it tells of its terms, and ends when it is told to."""

    def __init__(self, gently=True):
        self.terms = queue.SimpleQueue()
        self.may_return = threading.Event()
        self.gently = gently

    def __call__(self, term):
        self.terms.put(term)
        if self.gently:
            term.ending.wait(PATIENCE_S)
        self.may_return.wait(PATIENCE_S)


class Leading(Case):
    def lead(self, election, work, *arguments):
        ended = queue.SimpleQueue()

        def run():
            try:
                ended.put(election.lead(work, *arguments))
            except BaseException as error:
                ended.put(error)

        self.in_thread(run)
        self.addCleanup(election.stop)
        return ended

    def test_a_term_is_kept_until_its_work_has_returned(self):
        """stop() tells the work; nobody else leads, and it believes, until the work has ended."""
        election, work = self.election(value="v"), Work()
        ended = self.lead(election, work)
        term = work.terms.get(timeout=PATIENCE_S)
        self.assertTrue(term.is_held() and election.is_leader() and election.running)
        self.assertEqual(self.election().leader().value, "v")
        election.stop()
        self.assertTrue(term.ending.wait(PATIENCE_S))
        self.assertEqual((term.ending_reason, term.left), ("stopped", None))
        self.assertTrue(term.is_held())
        self.assertFalse(self.lock().try_acquire())
        self.assertTrue(ended.empty())
        work.may_return.set()
        self.assertIsNone(ended.get(timeout=PATIENCE_S))
        self.assertFalse(term.is_held() or election.running)
        self.assertFalse(term.lost.is_set())
        with self.lock():
            pass

    def test_work_that_returns_stands_again(self):
        """Each term has a greater token; a value of its own is seen."""
        tokens = queue.SimpleQueue()
        election = self.election()

        def work(term):
            tokens.put(term.token)
            if tokens.qsize() == 3:
                election.stop()

        election.lead(work)
        seen = [tokens.get() for _ in range(3)]
        self.assertEqual(seen, sorted(set(seen)))

    def test_work_that_raises_is_logged_and_stands_again(self):
        """With a pause; what it raised does not come out of lead()."""
        election, times = self.election(ttl=BRIEF_S), itertools.count()

        def work(term):
            if next(times) == 1:
                election.stop()
            raise ZeroDivisionError

        with self.assertLogs("metaparticle_sync", "ERROR") as logged:
            election.lead(work)
        self.assertEqual(len(logged.output), 2)
        self.assertIn("ZeroDivisionError", logged.output[0])

    def test_a_loss_ends_the_work_before_the_next_term(self):
        """Told once with the reason, and the candidate stands again when the work has returned."""
        election, work = self.election(ttl=BRIEF_S), Work()
        self.lead(election, work)
        term = work.terms.get(timeout=PATIENCE_S)
        self.take_by_force()
        self.assertTrue(term.ending.wait(PATIENCE_S))
        self.assertEqual(term.left, 0.0)
        self.assertTrue(term.lost.is_set())
        self.assertEqual(term.reason, term.ending_reason)
        self.assertFalse(election.is_leader())
        self.assertTrue(work.terms.empty())
        work.may_return.set()
        self.assertGreater(work.terms.get(timeout=PATIENCE_S).token, term.token)
        election.stop()

    def test_stop_before_lead(self):
        """Ends the next run as it begins, and no later one."""
        election, work = self.election(), Work()
        election.stop()
        election.lead(work)
        self.assertTrue(work.terms.empty())
        self.lead(election, work)
        work.terms.get(timeout=PATIENCE_S)
        work.may_return.set()
        election.stop()

    def test_stop_while_it_begins(self):
        """At whatever moment: lead() returns."""
        for _ in range(50):
            election, work = self.election(), Work()
            work.may_return.set()
            thread = self.in_thread(election.lead, work)
            election.stop()
            self.join(thread)
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_a_second_loop_is_refused(self):
        """Of lead() and run(), by another thread and from inside."""
        election, work = self.election(), Work()
        self.lead(election, work)
        work.terms.get(timeout=PATIENCE_S)
        self.assertRaises(sync.AlreadyHeld, election.lead, work)
        self.assertRaises(sync.AlreadyHeld, election.run)
        work.may_return.set()
        election.stop()

    def test_calls_from_inside_the_work(self):
        """stop, shutdown, resign, lead, campaign and close do not wait for the work that calls."""
        client = sync.Client(self.url)
        election, told = sync.Election("x", client=client), []

        def work(term):
            told.append(term.token)
            self.assertRaises(sync.AlreadyHeld, election.lead, work)
            self.assertRaises(sync.AlreadyHeld, election.campaign)
            if len(told) == 1:
                election.resign()
                self.assertTrue(term.ending.wait(PATIENCE_S))
                self.assertEqual(term.ending_reason, "asked")
                self.assertTrue(term.is_held())
                return
            election.stop()
            election.shutdown()
            client.close()
            self.assertTrue(term.ending.wait(PATIENCE_S))

        with self.assertLogs("metaparticle_sync", "ERROR") as logged:
            logging.getLogger("metaparticle_sync").error("one line at least")
            with contextlib.suppress(sync.Closed):
                election.lead(work)
        self.assertEqual(len(logged.output), 1, logged.output)
        self.assertEqual(len(told), 2)
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_closing_the_client_ends_a_run(self):
        """The work is told, and lead() raises Closed when it has returned."""
        client, work = sync.Client(self.url), Work()
        ended = self.lead(sync.Election("x", client=client), work)
        term = work.terms.get(timeout=PATIENCE_S)
        client.close()
        self.assertTrue(term.ending.wait(PATIENCE_S))
        self.assertEqual(term.ending_reason, "closed")
        work.may_return.set()
        self.assertIsInstance(ended.get(timeout=PATIENCE_S), sync.Closed)

    def test_a_wait_that_is_over(self):
        """Comes out of lead() as of every wait."""
        with self.lock():
            self.assertRaises(sync.LockTimeout, self.election(wait=0.01).lead, Work())

    def test_waiting_is_told(self):
        """Who has it, and the place in the queue, on the thread that waits."""
        told = queue.SimpleQueue()
        election, work = self.election(on_waiting=told.put), Work()
        work.may_return.set()
        with self.lock(identity="me"):
            self.lead(election, work)
            waiting = told.get(timeout=PATIENCE_S)
            while waiting.holder is None:
                waiting = told.get(timeout=PATIENCE_S)
            self.assertIn("me", waiting.holder)
            self.assertGreaterEqual(waiting.unchanged, 0)
        work.terms.get(timeout=PATIENCE_S)
        election.stop()

    def test_a_drain_has_a_limit(self):
        """With the option `drain` the term is given back under work that does not return."""
        election, work = self.election(drain=1), Work()
        self.lead(election, work)
        term = work.terms.get(timeout=PATIENCE_S)
        election.stop()
        term.ending.wait(PATIENCE_S)
        self.assertGreater(term.left, 0)
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))
        self.assertFalse(term.is_held())
        work.may_return.set()

    def test_ctrl_c_ends_the_loop(self):
        """In the work or between two terms, it comes out of lead(), and nothing stays held."""
        for busy in (True, False):
            program = (
                "import metaparticle_sync as s, signal, sys, time\n"
                "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
                "e = s.Election('x', on_waiting=lambda w: print('waiting', flush=True))\n"
                "def work(term): print('working', flush=True); time.sleep(60)\n"
                "try: e.lead(work)\n"
                "except KeyboardInterrupt: print('out', e.is_leader(), flush=True)\n"
                "sys.stdin.read()"
            )
            holder = None if busy else self.lock()
            if holder:
                holder.acquire()
            process = self.program(program, stdin=-1)
            self.assertEqual(process.stdout.readline(), "working\n" if busy else "waiting\n")
            self.assertEqual(self.interrupt(process), "out False\n")
            if holder:
                holder.release()
            other = self.lock()
            self.assertTrue(other.acquire(timeout=PATIENCE_S))
            other.release()

    def interrupt(self, process):
        """What it says then; again where it came a moment before the waiting, and was not heard."""
        said, line = queue.SimpleQueue(), None
        lines = (line for line in process.stdout if line != "waiting\n")
        self.in_thread(lambda: said.put(next(lines)))
        while line is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(queue.Empty):
                line = said.get(timeout=10)
        return line

    def test_a_fork_in_the_work(self):
        """The child does not lead, and its lead() raises Closed."""
        process = self.program(
            "import metaparticle_sync as s, os\n"
            "e = s.Election('x')\n"
            "parent = os.getpid()\n"
            "def work(term):\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        print(term.is_held(), e.is_leader(), e.running, flush=True)\n"
            "        return\n"
            "    os.waitpid(child, 0)\n"
            "    print(term.is_held()); e.stop()\n"
            "try: e.lead(work)\n"
            "except s.Closed: print('closed', flush=True); os._exit(0)\n"
            "print('over', os.getpid() == parent)"
        )
        output, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((output, errors), ("False False False\nclosed\nTrue\nover True\n", ""))


class OldLoop(Case):
    """run() and shutdown() of the first package."""

    def setUp(self):
        super().setUp()
        self.told = queue.SimpleQueue()

    def run_it(self, **options):
        election = self.election(
            lambda: self.told.put("master"), lambda: self.told.put("lost"), **options
        )
        self.addCleanup(election.shutdown)
        return election, self.in_thread(election.run)

    def next(self):
        return self.told.get(timeout=PATIENCE_S)

    def test_each_master_has_one_lost(self):
        """Whatever ends the term: a loss, a resign, shutdown()."""
        election, thread = self.run_it(ttl=BRIEF_S)
        self.assertEqual(self.next(), "master")
        self.assertRaises(queue.Empty, self.told.get, timeout=0.2)  # it goes on by itself
        self.take_by_force()
        self.assertEqual([self.next(), self.next()], ["lost", "master"])
        election.resign()
        self.assertEqual([self.next(), self.next()], ["lost", "master"])
        election.shutdown()
        self.join(thread)
        self.assertEqual(self.next(), "lost")
        self.assertTrue(self.told.empty())

    def test_shutdown_drains(self):
        """The right is kept until the callback has returned."""
        began, may_return, lost = (threading.Event() for _ in range(3))

        def master():
            began.set()
            may_return.wait(PATIENCE_S)

        election = self.election(master, lost.set)
        self.in_thread(election.run)
        self.assertTrue(began.wait(PATIENCE_S))
        election.shutdown()
        self.assertTrue(lost.wait(PATIENCE_S))
        self.assertFalse(self.lock().try_acquire())
        may_return.set()
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_what_master_raises_comes_out(self):
        """The term is told lost and given back before."""

        def master():
            raise ZeroDivisionError

        election = self.election(master, lambda: self.told.put("lost"))
        self.assertRaises(ZeroDivisionError, election.run)
        self.assertEqual(self.next(), "lost")
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_shutdown_before_run_has_no_effect(self):
        """As it was."""
        election = self.election(lambda: self.told.put("master"))
        election.shutdown()
        self.in_thread(election.run)
        self.assertEqual(self.next(), "master")
        election.shutdown()


class Asyncio(Case):
    def election(self, **options):
        return sync.AsyncElection("x", url=self.url, **options)

    def test_a_term_is_kept_until_its_task_has_ended(self):
        """stop() cancels the task; nobody else leads until it has cleaned up."""

        async def scenario():
            election = self.election()
            began, cleaned = asyncio.Event(), asyncio.Event()
            held_then = []

            async def work(term):
                began.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    await asyncio.sleep(0)
                    held_then.append((term.is_held(), await asyncio.to_thread(self.try_it)))
                    held_then.append(term.ending_reason)
                    cleaned.set()

            leading = asyncio.ensure_future(election.lead(work))
            await began.wait()
            election.stop()
            await asyncio.wait_for(leading, PATIENCE_S)
            self.assertTrue(cleaned.is_set())
            return held_then

        self.assertEqual(asyncio.run(scenario()), [(True, False), "stopped"])
        self.assertTrue(self.try_it())

    def try_it(self):
        return self.lock().try_acquire()

    def test_cancelling_lead_cancels_the_work(self):
        """And the term is given back when that has ended, also if it is cancelled twice."""

        async def scenario():
            election = self.election()
            began, may_end, seen = asyncio.Event(), asyncio.Event(), []

            async def work(term):
                began.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    await may_end.wait()
                    seen.append(term.is_held())

            leading = asyncio.ensure_future(election.lead(work))
            await began.wait()
            leading.cancel()
            await asyncio.sleep(0)
            leading.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await leading
            may_end.set()
            async with sync.AsyncLock("x", url=self.url):
                self.assertEqual(seen, [True])

        asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))

    def test_work_returns_raises_and_stands_again(self):
        """And a second loop is refused meanwhile."""

        async def scenario():
            election = self.election(ttl=BRIEF_S)
            terms = []

            async def work(term):
                terms.append(term.token)
                with self.assertRaises(sync.AlreadyHeld):
                    await election.lead(work)
                if len(terms) == 2:
                    raise ZeroDivisionError
                if len(terms) == 3:
                    await election.resign()
                    await asyncio.Event().wait()
                if len(terms) == 4:
                    election.stop()

            await election.lead(work)
            return terms

        with self.assertLogs("metaparticle_sync", "ERROR") as logged:
            terms = asyncio.run(scenario())
        self.assertEqual(len(logged.output), 1)
        self.assertEqual(terms, sorted(set(terms)))
        self.assertEqual(len(terms), 4)

    def test_a_loop_that_ends_gives_the_term_back(self):
        """asyncio.run() cancels what is left; nothing stays held by nobody."""

        async def work(term):
            await asyncio.Event().wait()

        async def scenario():
            leading = asyncio.ensure_future(self.election().lead(work))
            seen = self.election().observe()
            async for leader in seen:
                if leader:
                    return leading

        asyncio.run(scenario())
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))


if __name__ == "__main__":
    unittest.main()
