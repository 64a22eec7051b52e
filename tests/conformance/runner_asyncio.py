"""The runner of the conformance scenarios over asyncio's AsyncLock and AsyncElection; see README.md."""
import asyncio
import gc
import pathlib
import sys
import time

from metaparticle_sync import AsyncElection, AsyncLock, LockTimeout, SyncError

handles = {}
tasks = set()


def tell(*words):
    print(*words, sep="\t", flush=True)


def in_background(work):
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


async def make(kind, key, name, ttl):
    options = {} if ttl == "-" else {"ttl": ttl}
    handles[key] = (AsyncLock if kind == "lock" else AsyncElection)(name, **options)
    tell(key, "ok")


async def watch(key, lost):
    if await lost:
        tell(key, "lost")


async def acquire(key, wait_ms):
    lock = handles[key]
    if not await lock.acquire(timeout=-1 if wait_ms == "-1" else int(wait_ms) / 1000):
        tell(key, "busy")
        return
    tell(key, "held", lock.token)
    in_background(watch(key, lock.lost()))


async def campaign(key, value, wait_ms):
    election = handles[key]
    try:
        term = await election.campaign(value, timeout=-1 if wait_ms == "-1" else int(wait_ms) / 1000)
    except LockTimeout:
        tell(key, "busy")
        return
    tell(key, "held", term.token)
    in_background(watch(key, election.lost()))


async def release(key):
    handle = handles[key]
    await (handle.release() if isinstance(handle, AsyncLock) else handle.resign())
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


async def drop(key):
    """Who waits for the loss refers to the lock, so that is ended first."""
    del handles[key]
    waiting = list(tasks)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    del waiting, task
    await asyncio.sleep(0)  # the shield lets go in the loop's next turn
    gc.collect()
    tell(key, "dropped")


VERBS = {"acquire": acquire, "campaign": campaign, "release": release, "held": held, "value": value,
         "leader": leader, "observe": observe, "count": count, "drop": drop, "cancel": cancel,
         "speed": speed, "pass": hand_over,
         "lock": lambda *words: make("lock", *words), "election": lambda *words: make("election", *words)}


async def obey(verb, key, *words):
    try:
        await VERBS[verb](key, *words)
    except SyncError as error:
        tell(key, "error", error.status)


async def main():
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := (await lines.readline()).decode():
        words = line.rstrip("\n").split("\t")
        current = obey(*words)
        if words[0] == "drop":
            await current
        else:
            in_background(current)
    for task in tasks:
        task.cancel()


asyncio.run(main())
