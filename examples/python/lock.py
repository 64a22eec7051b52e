"""A program of the first Metaparticle Sync: one at a time."""

from metaparticle_sync import Lock

lock = Lock("example")
lock.acquire()
print("holding")
lock.release()
print("released")
