"""Three algorithms on one account, real processes: one floods, one is quiet, one replaces and cancels.

Prints of each how many of its orders and cancels the broker got, the longest wait of an order from request
to the broker, and what was refused. Exit code 1 where the quiet one was kept waiting.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.asking import SYMBOL, TICKS_S
from benchmarks.processes import process, simulator
from bus import embedded
from bus.connection import connect
from bus.order_events import CancelRefused, OrderRefused, OrderSent, OrdersRefused, OrderUpdated
from bus.streams import events, journal, requests
from oms.journal.journal_reader import EVENT_CODEC

LIMITS = Path(__file__).with_name("wide_limits.toml")
ACCOUNT = "paper"


# The quiet one's orders leave within this, its turn and the broker's answer.
MOST_WAIT_S = 2.0


@dataclass
class Seen:
    """What became of one algorithm's requests. Mutable: counted up."""

    asked: int = 0
    sent: int = 0
    canceled: int = 0
    longest_wait_s: float = 0.0
    entries: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def main() -> int:
    """Run it, print what was seen; exit code 1 where the quiet one waited too long or was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fairness",
        description=__doc__,
        epilog="example: python -m benchmarks.fairness --seconds 40 --json",
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they ask (default: 30)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bb-") as directory:
        found = measure(Path(directory), arguments.seconds)
    if arguments.json:
        print(json.dumps({name: asdict(seen) for name, seen in found.items()}))
    else:
        _print(found)
    quiet = found["quiet"]
    return 0 if quiet.longest_wait_s <= MOST_WAIT_S and "rate_budget" not in quiet.refused else 1


def measure(directory: Path, seconds: float) -> dict[str, Seen]:
    """What became of the requests of each algorithm."""
    market = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    try:
        with ExitStack() as stack:
            _, urls = stack.enter_context(simulator(directory, "--symbols", SYMBOL, "--rate", "20"))
            environment = {
                **urls,
                "MD_REDIS_URL": market.url,
                "ORDERS_REDIS_URL": orders.url,
                "BACKBONE_ACCOUNT": ACCOUNT,
            }
            for service in (("oms", "--limits", str(LIMITS)), ("ingest",)):
                stack.enter_context(process(*service, directory=directory, environment=environment))
            print(f"{', '.join(TICKS_S)} ask for {seconds:g} s ...", file=sys.stderr, flush=True)
            asking = [
                stack.enter_context(
                    process(
                        "benchmarks.asking",
                        name,
                        name,
                        str(seconds),
                        directory=directory,
                        environment=environment,
                    )
                )
                for name in TICKS_S
            ]
            for started in asking:
                started.wait(seconds + 60)
            return asyncio.run(_seen(orders.url))
    finally:
        market.stop()
        orders.stop()


async def _seen(url: str) -> dict[str, Seen]:
    client = connect(url, name="fairness")
    found = {}
    for name in TICKS_S:
        seen = found[name] = Seen(asked=await client.xlen(requests(ACCOUNT, name)))
        asked_ns = {
            json.loads(entry[b"data"])["client_order_id"]: json.loads(entry[b"data"])["requested_ns"]
            for _, entry in await client.xrange(requests(ACCOUNT, name))
        }
        for _, entry in await client.xrange(events(ACCOUNT, name)):
            seen.entries += 1
            event = EVENT_CODEC.decode(entry)
            if isinstance(event, OrderSent):
                seen.sent += 1
                waited_s = (event.sent_ns - asked_ns[event.client_order_id]) / 1e9
                seen.longest_wait_s = max(seen.longest_wait_s, waited_s)
            elif isinstance(event, OrderUpdated):
                seen.canceled += event.status == "canceled"
            elif isinstance(event, OrderRefused):
                seen.refused[event.reasons[0].code] += 1
            elif isinstance(event, OrdersRefused):
                seen.refused[event.reasons[0].code] += len(event.orders)
            elif isinstance(event, CancelRefused):
                seen.refused[f"cancel: {event.reason.code}"] += 1
    print(f"{await client.xlen(journal(ACCOUNT))} entries in the journal", file=sys.stderr)
    await client.aclose()
    return found


def _print(found: dict[str, Seen]) -> None:
    table = Table("algorithm", "requests", "at the broker", "canceled", "longest wait", "events", "refused")
    for name, seen in found.items():
        refused = ", ".join(f"{code} {count}" for code, count in seen.refused.most_common())
        table.add_row(
            name,
            f"{seen.asked:,}",
            f"{seen.sent:,}",
            f"{seen.canceled:,}",
            f"{seen.longest_wait_s:.2f} s",
            f"{seen.entries:,}",
            refused,
        )
    console = Console()
    Console(width=max(console.width, 150)).print(table)


if __name__ == "__main__":
    sys.exit(main())
