"""The runner of the conformance scenarios over asyncio's AsyncLock and AsyncElection; see README.md."""
import asyncio
import contextlib
import gc
import os
import pathlib
import sys
import time

from metaparticle_sync import AsyncElection, AsyncLock, Client, LockTimeout, SyncError

client = Client()
handles = {}
tasks = set()
askers = {}  # by key: what asks for it, for the same task asks once
cut_off = set()
leaving = []  # not empty when the program ends
works = {}   # by key: what the work of the present term is told


def tell(*words):
    """In one piece: callbacks of other threads tell as well."""
    os.write(1, ("\t".join(map(str, words)) + "\n").encode())


def in_background(work):
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def make(kind, key, name, ttl):
    options = {} if ttl == "-" else {"ttl": ttl}
    if kind == "lock":
        handles[key] = AsyncLock(name, client=client, on_lost=lambda: tell(key, "lost"), **options)
    else:
        handles[key] = AsyncElection(name, client=client, **options)
    tell(key, "ok")


async def watch(key, lost):
    if await lost:
        tell(key, "lost")


def seconds(wait_ms):
    return -1 if wait_ms == "-1" else int(wait_ms) / 1000


async def acquire(key, wait_ms):
    lock = handles[key]
    if not await lock.acquire(timeout=seconds(wait_ms)):
        tell(key, "busy")
        return
    tell(key, "held", lock.token)


async def cut(key):
    asker = askers[key]
    while asker.orders.qsize():  # it is about to ask
        await asyncio.sleep(0)
    if asker.asks:
        cut_off.add(key)
        asker.task.cancel()


async def campaign(key, value, wait_ms):
    election = handles[key]
    try:
        term = await election.campaign(value, timeout=seconds(wait_ms))
    except LockTimeout:
        tell(key, "busy")
        return
    tell(key, "held", term.token)
    in_background(watch(key, election.lost()))


def left(term):
    return "all" if term.left is None else "some" if term.left > 0 else "none"


async def lead(key, value):
    async def work(term):
        works[key] = orders = asyncio.Queue()
        tell(key, "term", term.token)
        try:
            order = await orders.get()
        except asyncio.CancelledError:
            if leaving:
                raise
            tell(key, "ending", term.ending_reason, left(term))
            order = await orders.get()
        if order == "fail":
            raise ArithmeticError("told to fail")

    try:
        await handles[key].lead(work, value)
        tell(key, "over")
    except LockTimeout:
        tell(key, "busy")


async def done(key, *fail):
    if key in works:
        works.pop(key).put_nowait("fail" if fail else "done")


async def stop(key):
    handles[key].stop()


async def waits(key):
    handles[key].on_waiting = lambda waiting: tell(key, "waits", waiting.holder or "-", waiting.position)


async def close():
    await asyncio.to_thread(client.close)
    tell("0", "closed")


async def release(key):
    handle = handles[key]
    led = isinstance(handle, AsyncElection) and handle.running
    await (handle.release() if isinstance(handle, AsyncLock) else handle.resign())
    if not led:
        tell(key, "released")


async def held(key):
    handle = handles[key]
    yes = handle.is_held() if isinstance(handle, AsyncLock) else handle.is_leader()
    tell(key, "yes" if yes else "no")


async def value(key, text):
    await handles[key].set_value(text)
    tell(key, "done")


async def leader(key):
    seen = await handles[key].leader()
    tell(key, "leader", *(seen if seen else "-"))


async def observe(key):
    async for seen in handles[key].observe():
        tell(key, "sees", *((seen.holder, seen.value) if seen else "-"))


async def cancel(key):
    handles[key].cancel()


async def count(key, file, times):
    path = pathlib.Path(file)
    for _ in range(int(times)):
        async with handles[key] as turn:
            path.write_text(str(int(path.read_text()) + 1))
            tell(key, "turn", turn.token)
    tell(key, "done")


async def speed(key, times):
    async with handles[key] as turn:
        began = time.monotonic_ns()
        for _ in range(int(times)):
            turn.is_held()
        tell(key, "ns", (time.monotonic_ns() - began) // int(times))


async def hand_over(key, times):
    seen = []
    for _ in range(int(times)):
        async with handles[key]:
            seen.append(time.monotonic_ns())
            await asyncio.sleep(0.003)
            seen.append(time.monotonic_ns())
        await asyncio.sleep(0.001)
    tell(key, "times", *seen)


async def drop(key, told="dropped"):
    """Who waits for the loss refers to the lock, so that is ended first."""
    del handles[key]
    waiting = list(tasks - {asyncio.current_task()})
    askers.clear()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    del waiting, task
    await asyncio.sleep(0)  # the shield lets go in the loop's next turn
    gc.collect()
    tell(key, told)


VERBS = {"acquire": acquire, "campaign": campaign, "release": release, "resign": release, "held": held, "value": value,
         "leader": leader, "observe": observe, "count": count, "drop": drop, "cancel": cancel,
         "speed": speed, "pass": hand_over, "cut": cut, "lead": lead, "done": done, "stop": stop, "waits": waits,
         "close": close, "collect": lambda key: drop(key, "collected"),
         "lock": lambda *words: make("lock", *words), "election": lambda *words: make("election", *words)}
ASKING = {"acquire", "campaign"}
AT_ONCE = {"drop", "collect", "close", "cut", "done", "stop", "lock", "election", "waits"}


async def obey(verb, *words):
    try:
        await VERBS[verb](*words)
    except SyncError as error:
        tell(words[0], "error", error.status)


class Asker:
    """The one task that asks for a key."""

    def __init__(self):
        self.orders = asyncio.Queue()
        self.asks = 0
        self.task = in_background(self.ask_in_turn())

    async def ask_in_turn(self):
        while True:
            words = await self.orders.get()
            try:
                await obey(*words)
            except asyncio.CancelledError:
                if words[1] not in cut_off:
                    raise
                cut_off.discard(words[1])
                tell(words[1], "cut")
            finally:
                self.asks -= 1

    def put(self, words):
        self.asks += 1
        self.orders.put_nowait(words)


async def main():
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode():
        words = line.rstrip("\n").split("\t")
        if words[0] == "exit":
            break
        if words[0] in ASKING:
            if words[1] not in askers:
                askers[words[1]] = Asker()
            askers[words[1]].put(words)
        elif words[0] in AT_ONCE:
            await obey(*words)
        else:
            in_background(obey(*words))
    leaving.append(True)


with contextlib.suppress(asyncio.CancelledError):
    asyncio.run(main())
