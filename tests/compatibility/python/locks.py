"""Every way in which a lock of the first package could be used."""
import os
import shutil
import subprocess
import tempfile
import threading

import metaparticle_sync
import metaparticle_sync.version
from metaparticle_sync import Lock


def lose(name):
    subprocess.check_call([os.environ["MPSYNC"], "release", "--force", "--now", name],
                          stdout=subprocess.DEVNULL)


def thread_error(call):
    try:
        call()
    except threading.ThreadError:
        print("ThreadError")


# Held, released, and held again by the same object; misuse.
lock = Lock("a")
print(lock.name, lock.base_uri)
print(lock.acquire())
thread_error(lock.acquire)
lock.release()
thread_error(lock.release)
print(lock.acquire(False), lock.acquire.__name__)
lock.release()

# Another one has it.
one, other = Lock("b"), Lock("b", "http://localhost:13131")
one.acquire(blocking=True)
print(other.acquire(blocking=False))
one.release()
print(other.acquire(blocking=False))
other.release()

# In a block.
with Lock("c"):
    print("in the block", Lock("c").acquire(False))
print("after it", Lock("c").acquire(False))

# Callbacks, by place and by name: a release ends what was held, too.
calls = Lock("d", "http://localhost:13131", lambda: print("locked"), lambda: print("lost"))
calls.acquire()
print("acquired")
calls.release()
print("released")

# Set later, and read when they are used.
late = Lock("e")
late.lock_callback = lambda: print("late locked")
late.lock_lost_callback = lambda: print("late lost")
late.acquire()
late.release()
late.name = "f"
late.acquire()
print(Lock("e").acquire(False), Lock("f").acquire(False))
late.release()
folder = tempfile.mkdtemp()
late.base_uri = "file:" + folder + "/elsewhere.db"
late.acquire()
print(Lock("f").acquire(False))
late.release()
shutil.rmtree(folder, ignore_errors=True)

# What a callback raises comes out of the call.
def fail():
    raise ValueError("from the callback")


bad = Lock("g", lock_callback=fail)
try:
    bad.acquire()
except ValueError as error:
    print(error)
bad.release()

# A loss is told, and the object can be used again.
lost = threading.Event()
loser = Lock("h", lock_lost_callback=lost.set)
loser.acquire()
lose("h")
print("told", lost.wait(60))
thread_error(loser.release)
print(loser.acquire())
loser.release()
print(metaparticle_sync.version.__version__ == metaparticle_sync.__version__)
