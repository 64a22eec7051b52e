"""What a contender in Python writes down: the same lines as tests/support/turns.c."""
import fcntl
import os
import time


def now_ns():
    """Of the clock that all processes of one machine share, and that no test changes."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)


def tell(what, token, before):
    os.write(1, f"{what} {token} {before} {now_ns()}\n".encode())


def is_accepted(path, token):
    """What a resource does that the token protects: takes no write under a token that is out of date."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        accepted = int.from_bytes(os.pread(file, 8, 0), "little") <= token
        if accepted:
            os.pwrite(file, token.to_bytes(8, "little"), 0)
        return accepted
    finally:
        os.close(file)


def hold(is_held, token, hold_ms, path, last):
    """Until the time is over; the moment of the last question that was answered by yes, None if lost."""
    until = now_ns() + hold_ms * 1000000
    while True:
        before = now_ns()
        if not is_held():
            tell("ended", token, last)
            return None
        tell("holds", token, before)
        last = before
        if not is_accepted(path, token):
            tell("refused", token, before)
        if before >= until:
            return last
        time.sleep(0.02)
