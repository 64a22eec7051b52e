"""Whatever cuts a wait short, nothing stays held or queued."""

import asyncio
import concurrent.futures
import datetime
import gc
import queue
import signal
import threading
import unittest

import metaparticle_sync as sync
from case import BRIEF_S, PATIENCE_S, Case


class Alarm(Exception):
    pass


class Signals(Case):
    def test_a_signals_exception_at_any_moment(self):
        """Of a block or an acquire, within its first millisecond: the name is free again."""

        def ring(number, frame):
            raise Alarm

        former = signal.signal(signal.SIGALRM, ring)
        self.addCleanup(signal.signal, signal.SIGALRM, former)
        lock, other = self.lock(), self.lock()
        rung = 0
        for turn in range(400):
            entered = False
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-6 + turn % 100 * 1e-5)
                if turn % 2:
                    with lock:
                        entered = True
                        signal.setitimer(signal.ITIMER_REAL, 0)
                else:
                    lock.acquire()
                    entered = True
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    lock.release()
            except Alarm:
                rung += 1
                if entered and lock.is_held():
                    lock.release()
            signal.setitimer(signal.ITIMER_REAL, 0)
            self.assertTrue(other.acquire(timeout=PATIENCE_S), turn)
            other.release()
        self.assertGreater(rung, 10)

    def test_ctrl_c_ends_a_release_from_a_frozen_elector(self):
        """It does not wait until the right has run out, and nor does the program's end."""
        elector = self.elector()
        process = self.program(
            "import metaparticle_sync as s, signal, threading\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
            "lock = s.Lock('x', ttl='300s')\n"
            "def tell():\n"
            "    while lock.is_held(): pass\n"
            "    print('releasing', flush=True)\n"
            "lock.acquire()\n"
            "print('held', flush=True)\n"
            "input()\n"
            "threading.Thread(target=tell, daemon=True).start()\n"
            "try: lock.release()\n"
            "except KeyboardInterrupt: print('out', lock.is_held(), flush=True)\n",
            stdin=-1,
        )
        self.assertEqual(process.stdout.readline(), "held\n")
        elector.send_signal(signal.SIGSTOP)
        self.addCleanup(elector.send_signal, signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), "releasing\n")
        # Again where it came a moment before the waiting: not while what it raised is told.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(10)
            except Exception:
                continue
        self.assertEqual(process.stdout.read(), "out False\n")


class Tasks(Case):
    def lock_(self, **options):
        return sync.AsyncLock("x", url=self.url, **options)

    def test_a_task_that_is_cancelled_twice(self):
        """Nothing stays queued, nor held, whenever it is: while it waits or as it is granted."""

        async def scenario():
            for turn in range(100):
                waiting, holder = self.lock_(), self.lock_()
                await holder.acquire()
                task = asyncio.ensure_future(waiting.acquire())
                await asyncio.sleep(0)
                if turn % 2:
                    await holder.release()
                task.cancel()
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    await waiting.release()
                if turn % 2 == 0:
                    await holder.release()
                self.assertTrue(await self.free_again(), turn)

        asyncio.run(scenario())

    async def free_again(self):
        other = self.lock_()
        got = await other.acquire(timeout=PATIENCE_S / 2)
        await other.release()
        return got

    def test_a_coroutine_that_is_closed(self):
        """While it is queued: its request goes with it."""

        async def scenario():
            async with self.lock_():
                waiting = self.lock_()
                coroutine = waiting.acquire()
                coroutine.send(None)
                coroutine.close()
            self.assertTrue(await self.free_again())
            self.assertFalse(waiting.is_held())

        asyncio.run(scenario())

    def test_a_release_can_be_cancelled(self):
        """It goes on by itself, and the next acquire queues behind it."""

        async def scenario():
            lock = self.lock_()
            for _ in range(20):
                await lock.acquire()
                task = asyncio.ensure_future(lock.release())
                await asyncio.sleep(0)
                task.cancel()
                self.assertFalse(lock.is_held())
                self.assertTrue(await lock.acquire(timeout=PATIENCE_S))
                await lock.release()

        asyncio.run(scenario())

    def test_a_loop_that_ends(self):
        """Who was waiting in it leaves nothing behind."""

        async def scenario():
            task = asyncio.ensure_future(self.lock_().acquire())
            await asyncio.sleep(0)
            return task

        with self.lock():
            asyncio.run(scenario())
        self.assertTrue(self.lock().acquire(timeout=PATIENCE_S))

    def test_tasks_share_a_lock(self):
        """They take turns; the same task's second acquire raises."""

        async def scenario():
            lock, inside, most = self.lock_(), 0, 0

            async def turn():
                nonlocal inside, most
                async with lock:
                    inside += 1
                    most = max(most, inside)
                    with self.assertRaises(sync.AlreadyHeld):
                        await lock.acquire()
                    await asyncio.sleep(0)
                    inside -= 1

            await asyncio.gather(*(turn() for _ in range(10)))
            self.assertEqual(most, 1)
            self.assertFalse(lock.is_held())

        asyncio.run(scenario())

    def test_a_loss_ends_the_block_of_its_own_task(self):
        """And of no other that shares the lock."""

        async def scenario():
            lock = self.lock_(ttl=BRIEF_S)

            async def waits():
                async with lock:
                    return "done"

            with self.assertRaises(sync.LockLost):
                async with lock:
                    other = asyncio.ensure_future(waits())
                    self.take_by_force()
                    await asyncio.Event().wait()
            self.assertEqual(await other, "done")

        asyncio.run(scenario())

    def test_waiting_is_told(self):
        """In the loop, with who has it."""

        async def scenario():
            told = asyncio.Queue()
            lock = self.lock_(on_waiting=told.put_nowait)
            async with self.lock_(identity="me"):
                task = asyncio.ensure_future(lock.acquire())
                while "me" not in str((await told.get()).holder):
                    pass
            await task
            await lock.release()

        asyncio.run(scenario())


class Sharing(Case):
    def test_threads_share_a_lock(self):
        """They take turns; the same thread's second acquire raises."""
        lock, number = self.lock(), 0

        def turn():
            nonlocal number
            with lock:
                self.assertRaises(sync.AlreadyHeld, lock.acquire)
                before = number
                threading.Event().wait(0.001)
                number = before + 1

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for turned in [pool.submit(turn) for _ in range(40)]:
                turned.result()
        self.assertEqual(number, 40)
        self.assertFalse(lock.is_held())

    def test_a_grant_that_a_job_took(self):
        """Outlives its thread; the next, which has its number, waits, and anyone releases."""
        waiting = threading.Event()
        lock = self.lock(on_waiting=lambda _: waiting.set())
        for _ in range(3):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                self.assertTrue(pool.submit(lock.acquire).result(PATIENCE_S))
                refused = pool.submit(lock.acquire)
                self.assertIsInstance(refused.exception(PATIENCE_S), sync.AlreadyHeld)
            self.assertTrue(lock.is_held())
            waiting.clear()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                following = pool.submit(lock.acquire)
                following.add_done_callback(lambda _: waiting.set())
                self.assertTrue(waiting.wait(PATIENCE_S))
                lock.release()
                self.assertTrue(following.result(PATIENCE_S))
            lock.release()
            self.assertFalse(lock.is_held())

    def test_a_block_may_be_left_by_another_thread(self):
        """As in frameworks that enter and leave in a pool; nothing of others is released."""
        lock = self.lock()
        self.join(self.in_thread(lock.__enter__))
        self.assertTrue(lock.is_held())
        self.join(self.in_thread(lock.__exit__, None, None, None))
        self.assertFalse(lock.is_held())
        with lock:
            lock.release()
            other = self.in_thread(lock.acquire)
            self.join(other)
        self.assertTrue(lock.is_held())
        lock.release()

    def test_a_grant_that_was_lost_is_not_released_for_another(self):
        """Who lost it is told so, though another thread holds by the same object."""
        lock = self.lock(ttl=BRIEF_S)
        lock.acquire()
        self.take_by_force()
        self.join(self.in_thread(lock.acquire))
        self.assertRaises(sync.NotHeld, lock.release)
        self.assertTrue(lock.is_held())
        lock.release()

    def test_cancel_ends_every_wait(self):
        """Of the threads that share the object, and of nobody who holds."""
        lock, ended = self.lock(), queue.SimpleQueue()

        def wait():
            try:
                lock.acquire()
            except sync.Cancelled as error:
                ended.put(error)

        with lock:
            threads = [self.in_thread(wait) for _ in range(3)]
            while any(thread.is_alive() for thread in threads):
                lock.cancel()
                threads[0].join(0.001)
            self.assertTrue(lock.is_held())
        self.assertEqual(ended.qsize(), 3)


class Decorated(Case):
    def decorated(self, function):
        return sync.synchronized("x", url=self.url)(function)

    def test_async_functions(self):
        """The body runs under the lock, one at a time."""
        free = []

        @self.decorated
        async def work(number):
            free.append(await sync.AsyncLock("x", url=self.url).try_acquire())
            await asyncio.sleep(0)
            return number

        async def scenario():
            return await asyncio.gather(*(work(number) for number in range(5)))

        self.assertEqual(asyncio.run(scenario()), [0, 1, 2, 3, 4])
        self.assertEqual(free, [False] * 5)
        self.assertEqual(asyncio.run(scenario()), [0, 1, 2, 3, 4])

    def test_generators(self):
        """The lock is held from the first value to the end, or until the generator is closed."""

        @self.decorated
        def numbers():
            got = yield self.lock().try_acquire()
            yield got
            return 7

        running = numbers()
        self.assertTrue(self.lock().try_acquire())
        gc.collect()
        self.assertIs(next(running), False)
        self.assertEqual(running.send(5), 5)
        with self.assertRaises(StopIteration) as ended:
            next(running)
        self.assertEqual(ended.exception.value, 7)
        running = numbers()
        next(running)
        running.close()
        self.assertTrue(self.lock().try_acquire())

    def test_async_generators(self):
        """Likewise."""

        @self.decorated
        async def numbers():
            yield await sync.AsyncLock("x", url=self.url).try_acquire()
            yield 2

        async def scenario():
            return [number async for number in numbers()]

        self.assertEqual(asyncio.run(scenario()), [False, 2])
        self.assertTrue(self.lock().try_acquire())

    def test_a_hidden_coroutine(self):
        """A function that only returns a coroutine is refused: that would run without the lock."""

        async def work():
            self.fail("it runs")

        self.assertRaisesRegex(TypeError, "hides an async def", self.decorated(lambda: work()))
        self.assertTrue(self.is_free())

    def test_without_a_name(self):
        """Refused when it is applied."""
        with self.assertRaises(TypeError):

            @sync.synchronized
            def work():
                pass


class Arguments(Case):
    def test_times(self):
        """None, a timedelta, infinity and very long times are taken; nonsense is refused."""
        lock = self.lock(ttl=datetime.timedelta(seconds=15), wait=datetime.timedelta(minutes=1))
        for timeout in (None, -1, float("inf"), 1e300, datetime.timedelta(seconds=3)):
            self.assertTrue(lock.acquire(timeout=timeout))
            lock.release()
        with self.lock():
            self.assertFalse(lock.acquire(timeout=datetime.timedelta(microseconds=1)))
        for timeout in ("3", True, []):
            with self.assertRaisesRegex(TypeError, "timeout: seconds or a timedelta"):
                lock.acquire(timeout=timeout)
        self.assertRaises(ValueError, lock.acquire, timeout=-0.5)

    def test_an_identity_is_text(self):
        """A number is not taken for seconds."""
        with self.assertRaisesRegex(TypeError, "identity: text"):
            self.lock(identity=5)

    def test_a_wait_for_a_store_that_is_not_there(self):
        """It is said once, with what to do, and ends in time with the store's error."""
        lock = sync.Lock("x", "http://127.0.0.1:1")

        def wait():
            with self.assertRaises(sync.Cancelled):
                lock.acquire()

        with self.assertLogs("metaparticle_sync", "WARNING") as logged:
            self.in_thread(wait)
            self.await_that(lambda: logged.output)
            lock.cancel()
        self.assertEqual(len(logged.output), 1)
        self.assertIn("mpsync elector", logged.output[0])
        with self.assertRaises(sync.StoreError):
            lock.acquire(timeout=3)


if __name__ == "__main__":
    unittest.main()
