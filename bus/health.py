"""`python -m bus.health algo-ma-cross`: exit code 0 if this process is alive and at work, by its heartbeat.

Container health checks run it every few seconds: it imports little and asks one thing of the orders server.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from bus.clock import SystemClock
from bus.errors import BackboneError, InvalidInput
from bus.heartbeat import AT_WORK, Heartbeat, OmsDetails, UnreadableHeartbeat, decode
from bus.settings import BusSettings, load
from bus.streams import alive, heartbeat_names
from bus.wire import Wire

# The server forgets a heartbeat after three seconds; older than that, the clocks of two machines differ too.
OLDEST_NS = 3_000_000_000

# Keys looked at in one step of a scan.
_SCANNED = 1000


def trouble(heartbeat: Heartbeat | UnreadableHeartbeat, now_ns: int) -> str:
    """Why this heartbeat is not a healthy one, as a sentence; "" where it is."""
    name = f"{heartbeat.process} ({heartbeat.instance})"
    if isinstance(heartbeat, UnreadableHeartbeat):
        return f"{name} is not understood: {heartbeat.why}"
    if now_ns - heartbeat.at_ns > OLDEST_NS:
        return f"{name} last gave a heartbeat {(now_ns - heartbeat.at_ns) / 1e9:.1f} s ago"
    why = "".join(f": {reason.sentence}" for reason in heartbeat.reasons)
    if heartbeat.state not in AT_WORK:
        return f"{name} is not at work: {heartbeat.state}{why}"
    if isinstance(heartbeat.details, OmsDetails) and not heartbeat.details.ready:
        return f"{name} is not ready{why}"
    return ""


def troubles(process: str, found: Sequence[Heartbeat | UnreadableHeartbeat], now_ns: int) -> str:
    """Why no instance of this process is healthy, in sentences; "" where one is: a standby may wait."""
    if not found:
        return f"{process} has no heartbeat: it does not run, or it does not reach the orders server"
    sentences = [trouble(heartbeat, now_ns) for heartbeat in found]
    return "" if "" in sentences else "; ".join(sentences)


async def ask(process: str, account: str, orders_url: str) -> str:
    """The troubles of this process, "" for none. Raises BackboneError where the server cannot be asked."""
    wire = await Wire.open(orders_url, name="health")
    try:
        found: list[Heartbeat | UnreadableHeartbeat] = []
        for key in sorted(await _keys(wire, alive(account, process, "*"))):
            beat = await wire.call("GET", key)
            if beat is not None:
                found.append(decode(*heartbeat_names(key)[1:], beat))
        return troubles(process, found, SystemClock().now_ns())
    finally:
        await wire.close()


async def _keys(wire: Wire, pattern: str) -> set[str]:
    keys: set[str] = set()
    cursor = b"0"
    while True:
        cursor, page = await wire.call("SCAN", cursor, "MATCH", pattern, "COUNT", _SCANNED)
        keys.update(key.decode() for key in page)
        if cursor == b"0":
            return keys


def main(argv: Sequence[str] | None = None) -> int:
    """Print one sentence; return 0 for healthy, 1 for not, 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m bus.health",
        description="Say whether a process is alive and at work on BACKBONE_ACCOUNT, by its heartbeat on "
        "ORDERS_REDIS_URL. Of several instances one at work is enough.",
        epilog="example:\n  python -m bus.health algo-ma-cross",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("process", help="ingest, oms or algo-<name>")
    process = parser.parse_args(argv).process
    try:
        settings = load(BusSettings)
        found = asyncio.run(ask(process, settings.account, settings.orders_redis_url))
    except BackboneError as error:
        sys.stderr.write(f"{error}\n")
        return 2 if isinstance(error, InvalidInput) else 1
    sys.stdout.write(f"{found or f'{process} is healthy'}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
