"""Takes turns by the Python binding: turns.py NAME HOLD_MS FILE; the URL is MPSYNC_URL."""
import os
import sys

from history import hold, now_ns, tell
from metaparticle_sync import Lock, StoreError

name, hold_ms, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
lock = Lock(name, url=os.environ["MPSYNC_URL"])


def take_a_turn():
    before = now_ns()
    try:
        with lock as held:
            tell("acquired", held.token, before)
            last = hold(held.is_held, held.token, hold_ms, path, before)
            if last is not None:
                tell("released", held.token, last)
    except StoreError as error:
        print(error, file=sys.stderr)


while True:
    take_a_turn()
