"""What a leader's work should not do: each has one clear rule, of lead(), of run(), in asyncio."""

import asyncio
import itertools
import queue
import signal
import threading
import unittest

import metaparticle_sync as sync
from case import PATIENCE_S, Case


class NeverReturns(Case):
    def test_work_that_does_not_return(self):
        """Keeps its term after stop(), and a warning names it each ttl, until it returns."""
        election, began, may_return = self.election(ttl=8), threading.Event(), threading.Event()
        self.addCleanup(may_return.set)

        def work(term):
            began.set()
            may_return.wait(PATIENCE_S)

        thread = self.in_thread(election.lead, work)
        self.assertTrue(began.wait(PATIENCE_S))
        with self.assertLogs("metaparticle_sync", "WARNING") as logged:
            election.stop()
            self.await_that(lambda: len(logged.output) >= 2)
        for line in logged.output:
            self.assertIn('"x"', line)
        self.assertTrue(election.is_leader())
        self.assertFalse(self.is_free())
        may_return.set()
        self.join(thread)
        self.assertFalse(election.is_leader())

    def test_a_task_that_does_not_end(self):
        """Is cancelled once; `drain` gives the term back under it, and lead() awaits its end."""

        async def scenario():
            election = sync.AsyncElection("x", url=self.url, drain=1)
            began, may_end, seen = asyncio.Event(), asyncio.Event(), []

            async def work(term):
                began.set()
                election.stop()
                while not may_end.is_set():
                    try:
                        await may_end.wait()
                    except asyncio.CancelledError:
                        seen.append((term.ending_reason, term.left > 0))

            leading = asyncio.ensure_future(election.lead(work))
            await began.wait()
            async with sync.AsyncLock("x", url=self.url):
                self.assertEqual(seen, [("stopped", True)])
                self.assertFalse(leading.done() or election.is_leader())
            may_end.set()
            await leading

        asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


class FromInside(Case):
    def test_close_in_the_work(self):
        """The work is told, and lead() raises Closed when it has returned."""
        client = sync.Client(self.url)

        def work(term):
            client.close()
            self.assertTrue(term.ending.wait(PATIENCE_S))
            self.assertEqual((term.ending_reason, term.left), ("closed", 0.0))
            self.assertFalse(term.is_held())
            self.assertTrue(self.is_free())

        self.assertRaises(sync.Closed, sync.Election("x", client=client).lead, work)

    def test_calls_of_the_first_apis_callbacks(self):
        """run, lead and campaign raise, resign and shutdown are told, and none of them waits."""
        told, terms = queue.SimpleQueue(), itertools.count()

        def master():
            for again in (election.run, election.campaign, lambda: election.lead(master)):
                self.assertRaises(sync.AlreadyHeld, again)
            (election.shutdown if next(terms) else election.resign)()
            self.assertTrue(election.is_leader())
            told.put("master")

        election = self.election(master, lambda: told.put("lost"))
        election.run()
        words = [told.get(timeout=PATIENCE_S) for _ in range(4)]
        self.assertEqual(sorted(words), ["lost", "lost", "master", "master"])
        self.assertTrue(told.empty())
        self.assertTrue(self.is_free())

    def test_close_in_a_callback_of_the_first_api(self):
        """The callback is told lost, and run() raises Closed."""
        client, lost = sync.Client(self.url), threading.Event()
        election = sync.Election("x", client.close, lost.set, client=client)
        self.assertRaises(sync.Closed, election.run)
        self.assertTrue(lost.is_set())
        self.assertTrue(self.is_free())

    def test_calls_of_a_task(self):
        """campaign raises; close cancels the task, and lead() raises Closed."""

        async def scenario():
            client = sync.Client(self.url)
            election, told = sync.AsyncElection("x", client=client), []

            async def work(term):
                with self.assertRaises(sync.AlreadyHeld):
                    await election.lead(work)
                try:
                    await asyncio.get_running_loop().run_in_executor(None, client.close)
                    await asyncio.Event().wait()
                finally:
                    told.append((term, term.ending_reason))

            with self.assertRaises(sync.Closed):
                await election.lead(work)
            [(term, reason)] = told
            self.assertEqual(reason, "closed")
            self.assertFalse(term.is_held())

        asyncio.run(asyncio.wait_for(scenario(), PATIENCE_S))


STATES = {
    "standing": "e.lead(lambda term: None)",
    "leading": "e.lead(lambda term: ready())",
    "draining": "e.lead(lambda term: (e.stop(), term.ending.wait(), ready()))",
}
WAYS = {
    "the end of the program": (0, "pass"),
    "sys.exit": (3, "sys.exit(3)"),
    "os._exit": (4, "os._exit(4)"),
    "an exception": (1, "1 / 0"),
    "SIGTERM": (-signal.SIGTERM, "os.kill(os.getpid(), signal.SIGTERM)"),
    "SIGKILL": (-signal.SIGKILL, "os.kill(os.getpid(), signal.SIGKILL)"),
}


class Ends(Case):
    """Each way to end a process, in each state of a candidate: the name is free for the next."""

    def start(self, name, state, way):
        """In the state it tells so, waits for a word, and ends in the way."""
        return self.program(
            "import metaparticle_sync as s, os, signal, sys, threading\n"
            "reached = threading.Event()\n"
            "def ready(): reached.set(); threading.Event().wait()\n"
            f"e = s.Election({name!r}, on_waiting=lambda _: reached.set())\n"
            f"def candidate(): {STATES[state]}\n"
            "threading.Thread(target=candidate, daemon=True).start()\n"
            "reached.wait(); print('ready', flush=True); sys.stdin.readline()\n"
            f"{way}",
            stdin=-1,
        )

    def test_ends_of_every_kind(self):
        """They end as they would without the lock, and nothing waits for a ttl."""
        cases = list(itertools.product(STATES, WAYS))
        holders = [sync.Lock(f"{case}", self.url) for case in cases]
        for (state, _), holder in zip(cases, holders):
            self.assertTrue(state != "standing" or holder.acquire())
        programs = [self.start(f"{case}", case[0], WAYS[case[1]][1]) for case in cases]
        for program in programs:
            self.assertEqual(program.stdout.readline(), "ready\n")
        for case, program, holder in zip(cases, programs, holders):
            with self.subTest(case):
                program.communicate("\n", timeout=PATIENCE_S)
                self.assertEqual(program.returncode, WAYS[case[1]][0])
                if holder.is_held():
                    holder.release()
                self.assertTrue(holder.acquire(timeout=PATIENCE_S))
                holder.release()


class Forks(Case):
    def test_in_every_state_of_a_candidate(self):
        """Standing, leading, draining: the child leads nothing, and the parent goes on."""
        for state in STATES:
            with self.subTest(state):
                holder = sync.Lock(state, self.url)
                self.assertTrue(state != "standing" or holder.acquire())
                process = self.program(
                    "import metaparticle_sync as s, os, threading\n"
                    "reached, over = threading.Event(), threading.Event()\n"
                    "def ready(): reached.set(); over.wait(); e.stop()\n"
                    f"e = s.Election({state!r}, on_waiting=lambda _: reached.set())\n"
                    f"def candidate(): {STATES[state]}\n"
                    "thread = threading.Thread(target=candidate); thread.start()\n"
                    "reached.wait()\n"
                    "before = e.is_leader()\n"
                    "child = os.fork()\n"
                    "if child == 0:\n"
                    "    e.stop()\n"
                    "    print(e.is_leader(), e.running, e.token, flush=True)\n"
                    f"    print(s.Lock({state!r}).try_acquire(), flush=True)\n"
                    "    os._exit(0)\n"
                    "assert os.waitpid(child, 0)[1] == 0\n"
                    "print(e.is_leader() == before, e.running, flush=True)\n"
                    "over.set(); e.stop(); thread.join()"
                )
                output, errors = process.communicate(timeout=PATIENCE_S)
                self.assertEqual((output, errors), ("False False None\nFalse\nTrue True\n", ""))
                self.assertEqual(holder.is_held(), state == "standing")
                self.assertTrue(holder.is_held() or holder.acquire(timeout=PATIENCE_S))
                holder.release()


if __name__ == "__main__":
    unittest.main()
