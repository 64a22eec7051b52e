"""Takes and drops many locks and elections; valgrind looks for what is left (tests/languages.sh)."""

import gc
import threading

from metaparticle_sync import Client, Election, Lock, SyncError

client = Client("memory:leaks")
for turn in range(50):
    with Lock(f"name-{turn}", client=client) as held:
        held.is_held()
        Lock(held.name, client=client).try_acquire()
    election = Election("election", client=client)
    election.campaign("value").release()
    election.leader()
    election.lead(lambda term: election.stop())
    try:
        Lock("", url="memory:leaks")
    except SyncError:
        pass
del held, election
while client.pump.handles or client.pump.requests:
    gc.collect()  # the client's thread may be about to let go of the last
client.close()
# A thread that has not run yet when the interpreter ends loses what it was started with.
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join()
