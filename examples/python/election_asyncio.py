"""One leads, in asyncio: the task that leads is cancelled when the work is to end."""

import asyncio

from metaparticle_sync import AsyncElection

election = AsyncElection("example", value="http://me:8080")


async def work(term):
    print("leading")
    election.stop()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        assert term.is_held()  # until the task has ended
        raise


asyncio.run(election.lead(work))
print("not leading")
