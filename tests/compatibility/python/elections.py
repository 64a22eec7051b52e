"""Every way in which an election of the first package could be used."""
import os
import subprocess
import sys
import threading

from metaparticle_sync import Election, Lock

led = threading.Semaphore(0)
ended = threading.Semaphore(0)


def master():
    print("master")
    led.release()


def lost():
    print("lost")
    ended.release()


election = Election("a", master, lost)
print(election.lock.name, election.running)
election.shutdown()  # not running: nothing to end
runner = threading.Thread(target=election.run)
runner.start()
led.acquire()
print(election.running, Lock("a").acquire(False))
election.shutdown()
runner.join()
ended.acquire()
print(election.running)

# The same election again; what it stands for may be changed meanwhile, and what it calls.
election.lock.name = "b"
calls = [election.master_callback, election.lost_master_callback]
election.master_callback = lambda: (print("another"), calls[0]())
election.lost_master_callback = lambda: (print("another"), calls[1]())
runner = threading.Thread(target=election.run)
runner.start()
led.acquire()
print(Lock("a").acquire(False), Lock("b").acquire(False))

# A loss: told, and it stands again.
subprocess.check_call([os.environ["MPSYNC"], "release", "--force", "--now", "b"], stdout=subprocess.DEVNULL)
ended.acquire()
led.acquire()
election.shutdown()
runner.join()


# What the callback raises comes out of run, and ends the program.
def fail():
    raise RuntimeError("from the callback")


try:
    Election("c", fail, lambda: None).run()
except RuntimeError as error:
    print(error)
print(Lock("c").acquire(False))
sys.stdout.flush()
Election("d", lambda: sys.exit(3), lambda: None).run()
