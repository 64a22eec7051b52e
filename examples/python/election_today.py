"""One leads, in asyncio: the task is cancelled when the term ends."""

import asyncio

from metaparticle_sync import AsyncElection


async def main():
    async with AsyncElection("example", value="http://me:8080"):
        print("leading")
    print("not leading")


asyncio.run(main())
