"""What keeps a grant, a client and its thread alive, and what the end of a process does to them."""

import gc
import os
import queue
import threading
import unittest
import warnings
import weakref

import metaparticle_sync as sync
from case import PATIENCE_S, Case


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("metaparticle")]


def descriptors():
    return len(os.listdir("/proc/self/fd"))


class Dropped(Case):
    def test_a_held_lock_that_nobody_refers_to(self):
        """Is released, and that is told: a warning that names it, and its callbacks."""
        told = queue.SimpleQueue()
        lock = self.lock(on_lost=lambda: told.put("lost"))
        lock.lock_lost_callback = lambda: told.put("old")
        lock.acquire()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            del lock
            gc.collect()
        self.assertEqual([str(w.message).split(" ")[0] for w in warned], ['"x"'])
        self.assertTrue(issubclass(warned[0].category, ResourceWarning))
        self.assertEqual({told.get(timeout=PATIENCE_S) for _ in range(2)}, {"lost", "old"})
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_a_grant_keeps_its_lock(self):
        """Who refers to the grant alone still holds."""
        held = self.lock().__enter__()
        gc.collect()
        self.assertTrue(held.is_held())
        self.assertFalse(self.lock().try_acquire())
        held.release()

    def test_a_lock_that_is_not_held(self):
        """Goes without a word."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            lock = self.lock()
            lock.acquire()
            lock.release()
            del lock
            gc.collect()


class Clients(Case):
    def test_the_last_user_closes_the_client(self):
        """No thread and no descriptor is left, of threads and of asyncio."""
        gc.collect()
        self.await_that(lambda: not threads())
        before = descriptors()
        for _ in range(3):
            lock, election = self.lock(), self.election()
            self.assertEqual(len(threads()), 1)
            with lock:
                election.leader()
            election.campaign()
            election.resign()
            election.stop()
            election.lead(lambda term: None)
            del lock, election
            gc.collect()
            self.await_that(lambda: not threads())
            self.await_that(lambda: descriptors() <= before)

    def test_a_client_is_shared_and_can_be_closed(self):
        """Its locks are released, they raise Closed then, and nothing is left."""
        gc.collect()
        self.await_that(lambda: not threads())
        before = descriptors()
        with sync.Client(self.url, identity="me") as client:
            one, other = sync.Lock("x", client=client), sync.Lock("y", client=client)
            self.assertEqual(len(threads()), 1)
            self.assertTrue(one.acquire() and other.acquire())
            with self.assertRaisesRegex(sync.LockTimeout, "me"), self.lock(wait=0):
                self.fail("it was not held")
        self.assertFalse(one.is_held() or other.is_held())
        self.assertRaises(sync.Closed, one.acquire)
        client.close()
        del one, other, client
        gc.collect()
        self.await_that(lambda: not threads())
        self.await_that(lambda: descriptors() <= before)
        self.assertTrue(self.lock().try_acquire())

    def test_closing_ends_waits(self):
        """Of other threads, which then raise."""
        client = sync.Client(self.url)
        ended = queue.SimpleQueue()
        waiting = threading.Event()
        lock = sync.Lock("x", client=client, on_waiting=lambda _: waiting.set())

        def wait():
            try:
                ended.put(lock.acquire())
            except sync.SyncError as error:
                ended.put(error)

        with self.lock():
            self.in_thread(wait)
            self.assertTrue(waiting.wait(PATIENCE_S))
            client.close()
            self.assertIsInstance(ended.get(timeout=PATIENCE_S), sync.SyncError)

    def test_calls_that_end_what_a_closed_client_ended(self):
        """Are without effect: cancel, stop, shutdown, an observer that is closed."""
        client = sync.Client(self.url)
        lock, election = sync.Lock("x", client=client), sync.Election("y", client=client)
        changes = election.observe()
        self.assertIsNone(next(changes))

        def work(term):
            client.close()
            for end in (election.stop, election.shutdown, election.cancel, lock.cancel):
                end()

        self.assertRaises(sync.Closed, election.lead, work)
        changes.close()
        self.assertRaises(sync.Closed, next, election.observe())

    def test_objects_go_at_once(self):
        """Nothing of the package is in a cycle: scopes decide, not the collector."""
        gc.disable()
        self.addCleanup(gc.enable)
        lock, election = self.lock(), self.election()
        with lock:
            pass
        election.campaign()
        election.resign()
        election.stop()
        election.lead(lambda term: None)
        seen = [weakref.ref(lock), weakref.ref(election)]
        del lock, election
        self.assertEqual([reference() for reference in seen], [None, None])


class Ends(Case):
    def test_nothing_is_released_before_the_end(self):
        """Hooks and threads of the program work under the lock until the process has ended."""
        self.elector()
        process = self.program(
            "import atexit, metaparticle_sync as s, threading, time\n"
            "lock = s.Lock('x')\n"
            "@atexit.register\n"
            "def last():\n"
            "    print('hook', lock.is_held(), s.Lock('x').try_acquire(), flush=True)\n"
            "    input()\n"
            "lock.acquire()\n"
            "def work():\n"
            "    threading.main_thread().join()\n"
            "    print('thread', lock.is_held(), s.Lock('x').try_acquire(), flush=True)\n"
            "threading.Thread(target=work).start()",
            stdin=-1,
        )
        self.assertEqual(process.stdout.readline(), "thread True False\n")
        self.assertEqual(process.stdout.readline(), "hook True False\n")
        self.assertFalse(self.lock().try_acquire())
        output, errors = process.communicate("\n", timeout=PATIENCE_S)
        self.assertEqual((output, errors, process.returncode), ("", "", 0))
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_an_exit_while_it_waits_and_in_the_work(self):
        """At once, and the name is free; ends of other kinds: test_misuse."""
        programs = {
            "waiting": "waiting = threading.Event()\n"
            "lock = s.Lock('x', on_waiting=lambda _: waiting.set())\n"
            "threading.Thread(target=lock.acquire, daemon=True).start(); waiting.wait()",
            "exit in the work": "s.Election('x').lead(lambda term: sys.exit(0))",
        }
        for state, program in programs.items():
            with self.subTest(state):
                holder = self.lock()
                if state == "waiting":
                    holder.acquire()
                process = self.program("import metaparticle_sync as s, sys, threading\n" + program)
                self.assertEqual(process.communicate(timeout=PATIENCE_S), ("", ""))
                self.assertEqual(process.returncode, 0)
                if holder.is_held():
                    holder.release()
                self.assertTrue(holder.acquire(timeout=PATIENCE_S))
                holder.release()

    def test_an_exit_while_the_elector_is_frozen(self):
        """Waits for nobody: the process's death is what gives the lock back."""
        elector = self.elector()
        process = self.program(
            "import metaparticle_sync as s\n"
            "lock = s.Lock('x', ttl='300s'); lock.acquire(); print('held', flush=True); input()",
            stdin=-1,
        )
        self.assertEqual(process.stdout.readline(), "held\n")
        os.kill(elector.pid, 19)
        self.addCleanup(os.kill, elector.pid, 18)
        self.assertEqual(process.communicate("\n", timeout=PATIENCE_S), ("", ""))


class Forks(Case):
    def test_without_pythons_hooks(self):
        """A child that C code forked, of which Python was not told, has clients of its own."""
        process = self.program(
            "import ctypes, metaparticle_sync as s, os\n"
            "lock, other = s.Lock('x'), s.Lock('y')\n"
            "lock.acquire()\n"
            "fork = ctypes.PyDLL(None).fork\n"
            "child = fork()\n"
            "if child == 0:\n"
            "    with other as held:\n"
            "        print('child', held.is_held(), lock.try_acquire(), flush=True)\n"
            "    print(lock.is_held(), s.Lock('z').try_acquire(), flush=True)\n"
            "    os._exit(0)\n"
            "os.waitpid(child, 0)\n"
            "print('parent', lock.is_held())"
        )
        output, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((output, errors), ("child True False\nFalse True\nparent True\n", ""))

    def test_while_another_thread_is_at_work(self):
        """Forked in the middle of the other's turns, each child gets what it asks for."""
        process = self.program(
            "import metaparticle_sync as s, os, threading\n"
            "lock, over = s.Lock('x'), threading.Event()\n"
            "def turns():\n"
            "    while not over.is_set():\n"
            "        with lock: pass\n"
            "thread = threading.Thread(target=turns); thread.start()\n"
            "for turn in range(30):\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        with s.Lock('y'): os._exit(0)\n"
            "    assert os.waitpid(child, 0)[1] == 0\n"
            "over.set(); thread.join(); print('all')"
        )
        output, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((output, errors), ("all\n", ""))

    def test_in_every_state(self):
        """Waiting, holding, leading: the child holds nothing, and drops what it has in silence."""
        process = self.program(
            "import metaparticle_sync as s, gc, os, threading, warnings\n"
            "warnings.simplefilter('error')\n"
            "waiting = threading.Event()\n"
            "held, e = s.Lock('x'), s.Election('e')\n"
            "held.acquire()\n"
            "w = s.Lock('x', on_waiting=lambda _: waiting.set())\n"
            "threading.Thread(target=w.acquire, daemon=True).start()\n"
            "waiting.wait()\n"
            "def work(term):\n"
            "    child = os.fork()\n"
            "    if child == 0:\n"
            "        print(held.is_held(), e.is_leader(), w.try_acquire(), flush=True)\n"
            "        e.stop(); w.cancel()\n"
            "        os._exit(0)\n"
            "    os.waitpid(child, 0); e.stop()\n"
            "e.lead(work)\n"
            "print(held.is_held())"
        )
        output, errors = process.communicate(timeout=PATIENCE_S)
        self.assertEqual((output, errors), ("False False False\nTrue\n", ""))


if __name__ == "__main__":
    unittest.main()
