"""A process that holds a lease and appends on command: run as `python lease_holder.py URL KEY TTL_MS`.

Each line on stdin makes it append one entry; each outcome is a line on stdout.
"""

import asyncio
import sys

from bus.connection import connect
from bus.errors import Fenced
from bus.lease import Lease
from bus.publish import Publisher


async def main(url: str, key: str, ttl_ms: int) -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    client = connect(url, name="holder")
    lease = Lease(client, key, "paused", ttl_ms=ttl_ms)
    assert await lease.acquire()
    publisher = Publisher(url, lease)
    sys.stdout.write(f"token {lease.token}\n")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        held = lease.held
        try:
            await publisher.append([("log", (b"Line", b"1", line.strip().encode()))])
            sys.stdout.write(f"written held={held}\n")
        except Fenced:
            sys.stdout.write(f"fenced held={held}\n")
    await publisher.close()
    await client.aclose()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
