"""One at a time: the block never runs without the lock, and a loss is raised."""

from metaparticle_sync import Lock

with Lock("example") as held:
    assert held.is_held()
    print("holding")
print("released")
