"""The OMS: requests decided and journalled a second, broker stubbed, against the bare journal script."""

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path

import uvloop

from benchmarks.limit import RawConnection, scripts_per_second
from benchmarks.processes import cpu_seconds, process
from benchmarks.row import Row
from bus import embedded
from bus.codec import MessageCodec
from bus.connection import Client, connect
from bus.embedded import EmbeddedServer
from bus.lease import Lease
from bus.link import Script
from bus.order_events import OrderApproved
from bus.order_messages import REQUESTS, OrderRequest, OrderTerms
from bus.publish import Publisher
from bus.streams import algorithm_lease, algorithms, events, journal, requests
from oms.journal.journal_reader import EVENT_CODEC

LIMITS = Path(__file__).with_name("wide_limits.toml")
ACCOUNT = "paper"
ALGORITHM = "bench"
SECONDS = 5.0
BATCH = 16
# Requests asked and not decided: enough that a batch waits while another is decided.
IN_FLIGHT = 16 * BATCH
PRICE_EVERY_S = 0.2
# uvloop rounds a sleep to whole milliseconds: half of one would keep a core busy with asking.
POLL_S = 0.001
MOST_REQUESTS = 100_000

# What a batch of approvals must write: each to the journal and to the algorithm's events, and one XACK.
BARE = """\
for i = 4, #ARGV do
  redis.call('XADD', KEYS[1], '*', 'type', ARGV[1], 'version', ARGV[2], 'data', ARGV[3])
  redis.call('XADD', KEYS[2], '*', 'type', ARGV[1], 'version', ARGV[2], 'data', ARGV[3])
end
return redis.call('XACK', KEYS[3], 'oms', unpack(ARGV, 4))
"""

_CODEC = MessageCodec(REQUESTS)
_TERMS = OrderTerms(
    symbol="AAPL", side="buy", type="limit", quantity=Decimal(1), limit_price=Decimal("187.5")
)


def unhurried(market: EmbeddedServer, orders: EmbeddedServer) -> dict[str, str]:
    """The environment of an OMS on these servers whose queue to the broker is not what is measured."""
    return {
        "MD_REDIS_URL": market.url,
        "ORDERS_REDIS_URL": orders.url,
        "BACKBONE_OMS_REQUESTS_PER_MINUTE": "100000000",
        "BACKBONE_OMS_LONGEST_WAIT_S": "600",
    }


def measure(directory: Path) -> Row:
    """Requests a second through the real OMS process, and the same entries by the bare script."""
    market = embedded.start("market", directory / "md")
    orders = embedded.start("orders", directory / "orders")
    environment = unhurried(market, orders)
    try:
        with (
            process("benchmarks.stub_oms", str(LIMITS), directory=directory, environment=environment) as oms,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            value, cpu_us = runner.run(_decided_per_second(market.url, orders.url, oms.pid))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            limit = runner.run(_bare(orders.url))
    finally:
        market.stop()
        orders.stop()
    return Row(
        name="oms_decisions",
        value=value,
        unit="requests/s",
        limit=limit,
        limit_is=f"bare journal script, {BATCH} a batch",
        bar=0.3,
        rule="at_least",
        floor=4000,
        cpu_us=cpu_us,
    )


async def _decided_per_second(md_url: str, orders_url: str, pid: int) -> tuple[float, float | None]:
    """Requests decided a second, and microseconds of CPU of the OMS for each."""
    client = connect(orders_url, name="bench")
    market = connect(md_url, name="bench")
    pricing = asyncio.ensure_future(_price(market))
    await client.hset(algorithms(ACCOUNT), ALGORITHM, json.dumps({"lineage": "bench", "registered_ns": 1}))
    stream = events(ACCOUNT, ALGORITHM)
    while not await client.xlen(stream):
        await asyncio.sleep(0.05)
    lease = Lease(client, algorithm_lease(ACCOUNT, ALGORITHM), "bench", ttl_ms=600_000)
    await lease.acquire()
    publisher = Publisher(orders_url, lease)
    connection = await RawConnection.open(orders_url)
    # Ready-made, so that asking costs little of the machine that decides.
    ready = [_request(number, lease) for number in range(MOST_REQUESTS)]
    asked = decided = 0
    started, began_cpu = time.perf_counter(), cpu_seconds(pid)
    while (elapsed := time.perf_counter() - started) < SECONDS and asked < MOST_REQUESTS:
        while asked - decided <= IN_FLIGHT - BATCH:
            await publisher.append(ready[asked : asked + BATCH])
            asked += BATCH
        await asyncio.sleep(POLL_S)
        decided = await _decided(connection)
    ended_cpu = cpu_seconds(pid)
    await _check(client, stream)
    connection.close()
    pricing.cancel()
    await publisher.close()
    await client.aclose()
    await market.aclose()
    cpu_us = None if began_cpu is None or ended_cpu is None else (ended_cpu - began_cpu) / decided * 1e6
    return decided / elapsed, cpu_us


def _request(number: int, lease: Lease) -> tuple[str, tuple[bytes, bytes, bytes]]:
    now_ns = time.time_ns()
    request = OrderRequest(
        client_order_id=f"bb-{ALGORITHM}-{number:032x}",
        terms=_TERMS,
        lease=lease.value,
        trigger="1-1",
        received_ns=now_ns,
        requested_ns=now_ns,
    )
    return requests(ACCOUNT, ALGORITHM), _CODEC.encode(request)


async def _decided(connection: RawConnection) -> int:
    """Requests read and acknowledged: a decision's journal entry and its acknowledgement are one script."""
    (group,) = await connection.call("XINFO", "GROUPS", requests(ACCOUNT, ALGORITHM))
    position = dict(zip(group[::2], group[1::2], strict=True))
    return int(position[b"entries-read"] or 0) - int(position[b"pending"])


async def _check(client: Client, stream: str) -> None:
    """The figure is worth nothing if the decisions were refusals."""
    kinds = [fields[b"type"] for _, fields in await client.xrevrange(stream, count=5000)]
    if b"OrderRefused" in kinds or b"OrderApproved" not in kinds:
        raise SystemExit(f"the OMS did not approve the requests: {sorted(set(kinds))}")


async def _price(market: Client) -> None:
    """Keep the reference price fresh, as ingest would."""
    while True:
        now_ns = time.time_ns()
        trade = json.dumps({"T": "t", "S": "AAPL", "p": 187.6, "s": 1, "i": 1, "t": now_ns})
        await market.xadd("md:AAPL:trades", {"d": trade, "r": now_ns})
        await asyncio.sleep(PRICE_EVERY_S)


async def _bare(url: str) -> float:
    """One script with the writes that a batch costs at the least, prepacked: requests a second."""
    name, version, data = EVENT_CODEC.encode(
        OrderApproved(
            algorithm=ALGORITHM,
            client_order_id=f"bb-{ALGORITHM}-{0:032x}",
            terms=_TERMS,
            reserve_price=Decimal("187.5"),
            trigger="1-1",
            received_ns=time.time_ns(),
            requested_ns=time.time_ns(),
            approved_ns=time.time_ns(),
        )
    )
    keys = [journal("bench"), events("bench", ALGORITHM), requests("bench", ALGORITHM)]
    ids = [f"{number + 1}-0" for number in range(BATCH)]
    connection = await RawConnection.open(url)
    await connection.call("XGROUP", "CREATE", keys[2], "oms", "$", "MKSTREAM")
    script = Script(BARE)
    await connection.call("SCRIPT", "LOAD", script.text)
    connection.close()
    command = script.packed(keys, [name, version, data, *ids])
    return await scripts_per_second(url, command, seconds=SECONDS / 2) * BATCH
