"""The runner of the conformance scenarios over Python's Lock and Election; see README.md."""
import os
import pathlib
import sys
import threading
import time

from metaparticle_sync import Election, Lock, SyncError

handles = {}
terms = {}
writing = threading.Lock()


def tell(*words):
    with writing:
        print(*words, sep="\t", flush=True)


def lose(key):
    tell(key, "lost")


def make(kind, key, name, ttl):
    options = {} if ttl == "-" else {"ttl": ttl}
    if kind == "lock":
        handles[key] = Lock(name, on_lost=lambda: lose(key), **options)
    else:
        handles[key] = Election(name, **options)
    tell(key, "ok")


def acquire(key, wait_ms):
    lock = handles[key]
    timeout = -1 if wait_ms == "-1" else int(wait_ms) / 1000
    if lock.acquire(timeout=timeout):
        tell(key, "held", lock.token)
    else:
        tell(key, "busy")


def campaign(key, value, wait_ms):
    timeout = -1 if wait_ms == "-1" else int(wait_ms) / 1000
    try:
        term = handles[key].campaign(value, timeout=timeout)
    except TimeoutError:
        tell(key, "busy")
        return
    tell(key, "held", term.token)
    terms[key] = term
    term.lost.wait()
    lose(key)


def release(key):
    handle = handles[key]
    if isinstance(handle, Lock):
        handle.release()
    else:
        handle.resign()
    tell(key, "released")


def held(key):
    handle = handles[key]
    yes = handle.is_held() if isinstance(handle, Lock) else handle.is_leader()
    tell(key, "yes" if yes else "no")


def value(key, text):
    handles[key].set_value(text)
    tell(key, "done")


def leader(key):
    seen = handles[key].leader()
    tell(key, "leader", *(seen if seen else "-"))


def observe(key):
    for seen in handles[key].observe():
        tell(key, "sees", *((seen.holder, seen.value) if seen else "-"))


def count(key, file, times):
    path = pathlib.Path(file)
    for _ in range(int(times)):
        with handles[key] as term:
            path.write_text(str(int(path.read_text()) + 1))
            tell(key, "turn", term.token)
    tell(key, "done")


def speed(key, times):
    with handles[key] as held:
        began = time.monotonic_ns()
        for _ in range(int(times)):
            held.is_held()
        tell(key, "ns", (time.monotonic_ns() - began) // int(times))


def hand_over(key, times):
    seen = []
    for _ in range(int(times)):
        with handles[key]:
            seen.append(time.monotonic_ns())
            time.sleep(0.003)
            seen.append(time.monotonic_ns())
        time.sleep(0.001)
    tell(key, "times", *seen)


def drop(key):
    del handles[key]
    tell(key, "dropped")


def fork(key):
    reading, telling = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(telling, b"yes" if handles[key].is_held() else b"no")
        os._exit(0)
    os.close(telling)
    os.waitpid(child, 0)
    tell(key, "child", os.read(reading, 8).decode())
    os.close(reading)


VERBS = {"acquire": acquire, "campaign": campaign, "release": release, "held": held, "value": value,
         "leader": leader, "observe": observe, "count": count, "speed": speed, "pass": hand_over, "drop": drop, "fork": fork,
         "cancel": lambda key: handles[key].cancel(),
         "lock": lambda *words: make("lock", *words), "election": lambda *words: make("election", *words)}
BLOCKING = {"acquire", "campaign", "observe", "count", "speed", "pass"}


def obey(verb, key, *words):
    try:
        VERBS[verb](key, *words)
    except SyncError as error:
        tell(key, "error", error.status)


for line in sys.stdin:
    words = line.rstrip("\n").split("\t")
    if words[0] in BLOCKING:
        threading.Thread(target=obey, args=words, daemon=True).start()
    else:
        obey(*words)
