"""Takes and drops many locks and elections; valgrind looks for what is left (tests/languages.sh)."""

import gc

from metaparticle_sync import Election, Lock, SyncError, _client

for turn in range(50):
    with Lock(f"name-{turn}", url="memory:leaks") as held:
        held.is_held()
        Lock(held.name, url="memory:leaks").try_acquire()
    election = Election("election", url="memory:leaks")
    election.campaign("value").release()
    election.leader()
    try:
        Lock("", url="memory:leaks")
    except SyncError:
        pass
del held, election
client = _client.clients.of("memory:leaks")
while client.handles or client._requests:
    gc.collect()  # the client's thread may be about to let go of the last
