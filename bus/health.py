"""`python -m bus.health algo-ma-cross`: exit code 0 if this process is alive and at work, by its heartbeat.

Container health checks run it every few seconds: it imports little and asks one thing of the orders server.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

import msgspec

from bus.clock import SystemClock
from bus.errors import BackboneError, InvalidInput
from bus.settings import BusSettings, load
from bus.streams import alive
from bus.wire import Wire

# The server forgets a heartbeat after three seconds; older than that, the clocks of two machines differ too.
OLDEST_NS = 3_000_000_000

# Starting, stopping, bootstrap, aborted, and ingest's sentences about a broken feed: all are not this.
AT_WORK = ("running", "ready", "leader", "follower")


class Heartbeat(msgspec.Struct, frozen=True):
    """What is read of a heartbeat."""

    state: str
    at_ns: int
    details: dict[str, object] = {}


def trouble(process: str, beat: bytes | None, now_ns: int) -> str:
    """Why this heartbeat is not a healthy one, as a sentence; "" where it is."""
    if beat is None:
        return f"{process} has no heartbeat: it does not run, or it does not reach the orders server"
    try:
        heartbeat = msgspec.json.decode(beat, type=Heartbeat)
    except msgspec.DecodeError as error:
        return f"{process} has a heartbeat that cannot be read: {error}"
    if now_ns - heartbeat.at_ns > OLDEST_NS:
        return f"{process} last gave a heartbeat {(now_ns - heartbeat.at_ns) / 1e9:.1f} s ago"
    if heartbeat.state not in AT_WORK:
        return f"{process} is not at work: {heartbeat.state}"
    if heartbeat.details.get("ready") is False:
        return f"{process} is not ready: {heartbeat.details.get('why_not')}"
    return ""


async def ask(process: str, orders_url: str) -> str:
    """The trouble of this process, "" for none. Raises BackboneError where the server cannot be asked."""
    wire = await Wire.open(orders_url, name="health")
    try:
        return trouble(process, await wire.call("GET", alive(process)), SystemClock().now_ns())
    finally:
        await wire.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Print one sentence; return 0 for healthy, 1 for not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m bus.health",
        description="Say whether a process is alive and at work, by its heartbeat on ORDERS_REDIS_URL.",
        epilog="example:\n  python -m bus.health algo-ma-cross",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("process", help="ingest, oms or algo-<name>")
    process = parser.parse_args(argv).process
    try:
        found = asyncio.run(ask(process, load(BusSettings).orders_redis_url))
    except BackboneError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InvalidInput) else 1
    sys.stdout.write(f"{found or f'{process} is healthy'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
