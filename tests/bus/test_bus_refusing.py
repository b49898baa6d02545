"""A server that refuses for a while is away, not wrong: all wait, lose nothing, and go on in order."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from own_server import OwnServer, own_server
from proxy import Proxy
from refusals import BY_A_PROXY, BY_THE_SERVER, refusing
from waiting import until

from bus.connection import connect
from bus.consume import GroupReader
from bus.errors import AccessRefused, InvalidInput, RefusedForNow, ReplyLost
from bus.lease import Lease
from bus.link import Link, Script
from bus.market_batch import MarketBatch
from bus.market_writer import MarketWriter
from bus.pages import pages
from bus.publish import Publisher

pytestmark = pytest.mark.integration

STREAM, SLOW = "md:AAPL:trades", "account:{paper}"
KINDS = (*BY_THE_SERVER, *BY_A_PROXY)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with own_server() as started:
        yield started


@pytest.fixture
async def proxy(server: OwnServer) -> AsyncIterator[Proxy]:
    async with Proxy(server.url) as between:
        yield between


@pytest.fixture
async def client(server: OwnServer) -> AsyncIterator[Any]:
    """A client that goes around the proxy, on an empty server."""
    found = connect(server.url, name="test")
    await found.flushall()
    yield found
    await found.aclose()


def frame(number: int) -> MarketBatch:
    return MarketBatch([STREAM], [1000, b"%d" % number], received_ns=number + 1)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_writer_and_reader_goes_on_where_it_was(
    server: OwnServer, proxy: Proxy, client: Any, kind: str
) -> None:
    lease = Lease(client, "lease:x", "writer", ttl_ms=60_000)
    assert await lease.acquire()
    market, publisher = MarketWriter(proxy.url, lease), Publisher(proxy.url, lease)
    reader = GroupReader(proxy.url, [STREAM], "g", start="0", block_ms=20)
    link, script = Link(proxy.url, name="scripts"), Script("return redis.call('SET', KEYS[1], ARGV[1])")
    await reader.open()
    read: list[int] = []
    stopped = asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        for number in itertools.count():
            if stopped.is_set():
                break
            await market.write(frame(number))
            written = number + 1
            await asyncio.sleep(0.001)
        await market.drain()

    async def append() -> int:
        for number in itertools.count():
            await publisher.append([(SLOW, (b"T", b"1", b"%d" % number))])
            if stopped.is_set():
                return number + 1
        raise AssertionError

    async def consume() -> None:
        while not (stopped.is_set() and len(read) == written):
            for delivery in await reader.deliveries():
                read.append(int(delivery.fields[b"d"]))
                reader.acknowledge(delivery)

    async def count() -> int:
        for number in itertools.count():
            with contextlib.suppress(ReplyLost):
                await link.run(script, ["counted"], [number])
                if stopped.is_set():
                    return number
        raise AssertionError

    async def look() -> None:
        while not stopped.is_set():
            async for _ in pages(link, SLOW):
                pass
            await link.asked("XLEN", SLOW)

    tasks = [asyncio.create_task(one()) for one in (write, append, consume, count, look)]
    await until(lambda: written > 20 and len(read) > 10, "all to be at work")
    async with refusing(server.url, proxy, kind):
        await until(lambda: bool(market.away and publisher.away), "the refusal to be told")
    before = written
    await until(lambda: written > before + 20 and not market.away, "writing to go on")
    stopped.set()
    _, appended, _, counted, _ = await asyncio.gather(*tasks)
    entries = await client.xrange(STREAM)
    assert [int(fields[b"d"]) for _, fields in entries] == list(range(written))
    assert read == list(range(written))
    assert [int(fields[b"data"]) for _, fields in await client.xrange(SLOW)] == list(range(appended))
    assert int(await client.get("counted")) == counted
    await reader.close()
    assert (await client.xpending(STREAM, "g"))["pending"] == 0
    for one in (market, publisher, link):
        await one.close()


async def test_what_is_only_read_in_a_transaction_is_refused_for_now_too(
    server: OwnServer, proxy: Proxy, client: Any
) -> None:
    """A server that is full refuses every command of a transaction (redis/redis#9926); some answer reads."""
    async with refusing(server.url, proxy, "OOM"):
        reading = client.pipeline(transaction=True).get("x").execute()
        (answer,) = await asyncio.gather(reading, return_exceptions=True)
        assert answer == [None] or (isinstance(answer, RefusedForNow) and "OOM" in str(answer))
    assert await client.pipeline(transaction=True).get("x").execute() == [None]


async def test_a_password_is_wrong_at_the_very_first_and_later_its_server_is_away(server: OwnServer) -> None:
    operator, client, link = (
        connect(server.url, name="o"),
        connect(server.url, name="c"),
        Link(server.url, name="l"),
    )
    stranger, strange = connect(server.url, name="s"), Link(server.url, name="s")
    await client.ping()
    await link.opened()
    await operator.config_set("requirepass", "another")
    try:
        await operator.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        with pytest.raises(AccessRefused):
            await stranger.ping()
        with pytest.raises(InvalidInput, match="NOAUTH"):
            await strange.opened()
        asking = asyncio.create_task(link.asked("PING"))

        async def refused() -> bool:
            try:
                await client.ping()
            except RefusedForNow:
                return True
            except ReplyLost:
                return False
            raise AssertionError

        await until(refused, "the client to be refused")
        await until(lambda: bool(link.outage.why), "the link to say that its server is away")
    finally:
        await operator.config_set("requirepass", "")
    assert await asking == b"PONG"
    assert await client.ping()
    for one in (operator, client, stranger):
        await one.aclose()
    await link.close()


async def test_what_is_asked_aside_of_a_server_that_refuses_is_said_to_be_over_too(
    server: OwnServer, proxy: Proxy, client: Any
) -> None:
    reader = GroupReader(proxy.url, [STREAM], "g", start="0", block_ms=20)
    await reader.open()
    assert await reader.lag() == 0
    async with refusing(server.url, proxy, "LOADING"):
        asking = asyncio.create_task(reader.lag())
        await until(lambda: bool(reader._side.outage.why), "the refusal to be noticed")
    assert await asking == 0
    assert reader._side.outage.why == ""
    await reader.close()


async def test_one_that_was_away_is_back_with_its_connection_and_one_that_refuses_with_an_answer(
    proxy: Proxy, client: Any
) -> None:
    link = Link(proxy.url, name="x")
    link.outage.goes_on("no server answers")
    await link.opened()
    assert link.outage.why == ""
    await link.wait_out(RefusedForNow("OOM"))
    await link.close()
    await link.opened()
    assert link.outage.why == "OOM"
    await link.asked("PING")
    assert link.outage.why == ""
    await link.close()
