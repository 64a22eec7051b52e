"""The runner of the conformance scenarios over Python's Lock and Election; see README.md."""
import gc
import os
import pathlib
import queue
import sys
import threading
import time

from metaparticle_sync import Cancelled, Client, Election, Lock, SyncError

client = Client()
handles = {}
asking = {}  # by key: that the latest acquire is over
cut_off = set()
works = {}   # by key: what the work of the present term is told
threads = {}  # by key: what asks for it, for the same thread asks once
writing = threading.Lock()


def tell(*words):
    with writing:
        print(*words, sep="\t", flush=True)


def lose(key):
    tell(key, "lost")


def make(kind, key, name, ttl):
    options = {} if ttl == "-" else {"ttl": ttl}
    if kind == "lock":
        handles[key] = Lock(name, client=client, on_lost=lambda: lose(key), **options)
    else:
        handles[key] = Election(name, client=client, **options)
    tell(key, "ok")


def seconds(wait_ms):
    return -1 if wait_ms == "-1" else int(wait_ms) / 1000


def acquire(key, wait_ms):
    lock = handles[key]
    try:
        if lock.acquire(timeout=seconds(wait_ms)):
            tell(key, "held", lock.token)
        else:
            tell(key, "busy")
    except Cancelled:
        if key not in cut_off:
            raise
        cut_off.discard(key)
        tell(key, "cut")
    finally:
        asking[key].set()


def cut(key):
    """By another thread, which is how a thread's wait is cut short where no signal comes."""
    cut_off.add(key)
    while not asking[key].wait(0.001):
        handles[key].cancel()
    cut_off.discard(key)


def campaign(key, value, wait_ms):
    try:
        term = handles[key].campaign(value, timeout=seconds(wait_ms))
    except TimeoutError:
        tell(key, "busy")
        return
    tell(key, "held", term.token)
    threading.Thread(target=lambda: term.lost.wait() and lose(key), daemon=True).start()


def left(term):
    return "all" if term.left is None else "some" if term.left > 0 else "none"


def lead(key, value):
    def work(term):
        works[key] = orders = queue.SimpleQueue()
        tell(key, "term", term.token)
        threading.Thread(target=lambda: orders.put("ending" if term.ending.wait() else ""), daemon=True).start()
        order = orders.get()
        if order == "ending":
            tell(key, "ending", term.ending_reason, left(term))
            order = orders.get()
        if order == "fail":
            raise ArithmeticError("told to fail")

    try:
        handles[key].lead(work, value)
        tell(key, "over")
    except TimeoutError:
        tell(key, "busy")


def done(key, *fail):
    if key in works:
        works.pop(key).put("fail" if fail else "done")


def waits(key):
    handles[key].on_waiting = lambda waiting: tell(key, "waits", waiting.holder or "-", waiting.position)


def collect(key):
    del handles[key]
    gc.collect()
    tell(key, "collected")


def release(key):
    handle = handles[key]
    if isinstance(handle, Lock):
        handle.release()
    else:
        led = handle.running
        handle.resign()
        if led:
            return
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


def close():
    client.close()
    tell("0", "closed")


VERBS = {"acquire": acquire, "campaign": campaign, "release": release, "resign": release, "held": held, "value": value,
         "leader": leader, "observe": observe, "count": count, "speed": speed, "pass": hand_over, "drop": drop, "fork": fork,
         "cut": cut, "lead": lead, "done": done, "waits": waits, "collect": collect, "close": close,
         "stop": lambda key: handles[key].stop(), "cancel": lambda key: handles[key].cancel(),
         "lock": lambda *words: make("lock", *words), "election": lambda *words: make("election", *words)}
ASKING = {"acquire", "campaign"}
BLOCKING = {"lead", "observe", "count", "speed", "pass"}


def obey(verb, *words):
    try:
        VERBS[verb](*words)
    except SyncError as error:
        tell(words[0], "error", error.status)


def ask_in_turn(orders):
    for words in iter(orders.get, None):
        obey(*words)


def asker(key):
    """The one thread that asks for this key."""
    if key not in threads:
        threads[key] = queue.SimpleQueue()
        threading.Thread(target=ask_in_turn, args=(threads[key],), daemon=True).start()
    return threads[key]


for line in sys.stdin:
    words = line.rstrip("\n").split("\t")
    if words[0] == "exit":
        break
    if words[0] in ASKING:
        asking[words[1]] = threading.Event()  # before the thread runs: the next line may cut it
        asker(words[1]).put(words)
    elif words[0] in BLOCKING:
        threading.Thread(target=obey, args=words, daemon=True).start()
    else:
        obey(*words)
