"""Prices read on from a real server: bounded commands, and streams that are trimmed, deleted or wrong."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from own_server import own_server
from waiting import until

from bus.clock import ManualClock
from bus.connection import Client, connect
from bus.streams import market
from oms.prices.prices import (
    ANEW_EVERY_NS,
    ANSWER_TIMEOUT_S,
    CACHE_NS,
    KEPT_FOR_NS,
    MOST_AT_ONCE,
    SYMBOLS_AT_ONCE,
    WANTED_FOR_NS,
    Prices,
)
from oms.prices.reference_price import MarketHalt, Price

pytestmark = pytest.mark.integration


class Market:
    """Entries of a market-data server, written by hand, with ids of market time, as ingest does."""

    def __init__(self, client: Client, prices: Prices, clock: ManualClock) -> None:
        self.client = client
        self.prices = prices
        self.clock = clock
        self.base_ns = time.time_ns()

    async def write(self, symbol: str, channel: str, at_ms: int, **message: Any) -> None:
        """One entry; its time is counted from the test's beginning."""
        at_ns = self.base_ns + at_ms * 1_000_000
        data = json.dumps({"S": symbol, **message, "t": at_ns})
        await self.client.xadd(
            market(symbol, channel), {"d": data, "r": str(at_ns)}, id=f"{at_ns // 1_000_000}-*"
        )

    async def trade(self, price: float, at_ms: int, symbol: str = "AAPL", id_: int = 1) -> None:
        """One trade."""
        await self.write(symbol, "trades", at_ms, i=id_, x="V", p=price, s=1, c=["@"], z="C")

    async def read(self, *symbols: str) -> None:
        """Have these read, as for a decision."""
        asked = symbols or ("AAPL",)
        self.prices.due(asked)
        await self.prices.refresh(asked)

    def price(self, symbol: str = "AAPL") -> Decimal | None:
        """What is known now."""
        known = self.prices.known.get(symbol)
        return known.price if isinstance(known, Price) else None

    async def calls(self, command: str) -> int:
        """How often the server has carried out a command since the last reset."""
        stats = await self.client.info("commandstats")
        return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


@contextlib.asynccontextmanager
async def market_at(url: str) -> AsyncIterator[Market]:
    """Prices that stand still unless they are told to read."""
    clock = ManualClock(time.time_ns())
    client, prices = connect(url, name="test"), Prices(url, clock)
    try:
        yield Market(client, prices, clock)
    finally:
        await prices.close()
        await client.aclose()


async def test_what_came_since_is_read_on_and_late_prints_change_nothing(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.read()
        assert md.price() is None
        await md.trade(100, 5)
        await md.read()
        assert md.price() == 100
        await md.client.xadd("md:AAPL:trades", {"d": "{}", "r": "1"})
        await md.client.xadd(
            "md:AAPL:trades",
            {"d": json.dumps({"S": "AAPL", "p": 90, "s": 1, "t": md.base_ns}), "r": str(md.base_ns + 10**10)},
        )
        await md.read()
        assert md.price() == 100
        await md.write("AAPL", "quotes", 2000, **{"bp": 101, "bs": 1, "ap": 103, "as": 1})
        await md.read()
        assert md.price() == 102


async def test_a_first_read_finds_the_latest_among_late_ones(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.trade(100, 1000)
        for number in range(10):
            data = json.dumps({"S": "AAPL", "p": 90, "s": 1, "t": md.base_ns + number})
            await md.client.xadd("md:AAPL:trades", {"d": data, "r": str(md.base_ns + 2 * 10**9)})
        await md.read()
        assert md.price() == 100


async def test_a_cancel_a_halt_and_a_resumption_are_read_on(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.trade(100, 1, id_=1)
        await md.trade(90, 2, id_=2)
        await md.read()
        assert md.price() == 90
        await md.write("AAPL", "cancelErrors", 3, i=2, x="V", p=90, s=1, a="C")
        await md.read()
        assert md.price() == 100
        await md.write("AAPL", "statuses", 4, sc="P", sm="Volatility Trading Pause", rc="LUDP", rm="")
        await md.read()
        assert isinstance(md.prices.known["AAPL"], MarketHalt)
        await md.write("AAPL", "statuses", 5, sc="T", sm="Trading Resumption", rc="", rm="")
        await md.read()
        assert "AAPL" not in md.prices.known
        await md.trade(95, 6, id_=3)
        await md.read()
        assert md.price() == 95


async def test_pairs_have_streams_of_their_own(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.write("BTC/USD", "trades", 1, i=1, p=36000.5, s=0.1, tks="B")
        await md.read("BTC/USD")
        await md.write("BTC/USD", "trades", 2, i=2, p=36001.5, s=0.1, tks="B")
        await md.read("BTC/USD")
        assert md.price("BTC/USD") == Decimal("36001.5")


async def test_a_hundred_symbols_are_read_on_with_a_few_commands(md_url: str) -> None:
    """A decision must not wait behind thousands of them a second."""
    symbols = [f"S{number}" for number in range(100)]
    async with market_at(md_url) as md:
        # Seven hundred answers may take a machine that stalls longer than a decision would wait.
        await until(lambda: md.prices.refresh(symbols), "all of them to be read once")
        await md.client.config_resetstat()
        await md.read(*symbols)
        assert (await md.calls("xread"), await md.calls("xrevrange")) == (1, 0)

        keeping = asyncio.create_task(md.prices.keep())
        await md.client.config_resetstat()
        batches = -(-len(symbols) // SYMBOLS_AT_ONCE)

        async def read_twice() -> bool:
            return await md.calls("xread") >= 2 * batches

        await until(read_twice, "everything to be read on twice")
        assert await md.calls("xrevrange") == 0
        await md.trade(100, 1, symbol="S99")
        await until(lambda: md.price("S99") == 100, "the price")
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_what_is_asked_for_after_a_time_without_any_is_read_on(md_url: str) -> None:
    async with market_at(md_url) as md:
        keeping = asyncio.create_task(md.prices.keep())
        for price in (100, 101):
            assert md.prices.due(["AAPL"]) == ["AAPL"]
            await md.read()
            await md.trade(price, price)
            await until(lambda price=price: md.price() == price, "the price")  # type: ignore[misc]
            # Nobody asks for it any more.
            md.clock.advance(KEPT_FOR_NS + 1)
            await until(lambda: repr(md.prices).endswith("0 followed>"), "it to be let go")
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_what_was_read_lately_is_not_due(md_url: str) -> None:
    async with market_at(md_url) as md:
        assert md.prices.due(["AAPL"]) == ["AAPL"]
        await md.read()
        md.clock.advance(CACHE_NS)
        assert md.prices.due(["AAPL"]) == []
        md.clock.advance(1)
        assert md.prices.due(["AAPL", "MSFT"]) == ["AAPL", "MSFT"]


async def test_more_than_can_be_read_at_once_ends_at_the_latest(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.trade(99, 0)
        await md.read()
        for number in range(MOST_AT_ONCE * 3):
            await md.trade(100 + number, 1 + number, id_=number)
        await md.read()
        assert md.price() == 100 + MOST_AT_ONCE - 1
        await md.read()
        assert md.price() == 100 + MOST_AT_ONCE * 3 - 1


async def test_a_stream_that_is_trimmed_is_read_on(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.trade(100, 1)
        await md.read()
        for number in range(5):
            await md.trade(101 + number, 2 + number)
        await md.client.xtrim("md:AAPL:trades", maxlen=1, approximate=False)
        await md.read()
        assert md.price() == 105
        await md.client.xtrim("md:AAPL:trades", maxlen=0, approximate=False)
        await md.read()
        assert md.price() == 105, "what was heard was heard"


async def test_a_stream_that_begins_again_is_read_from_its_beginning(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.trade(100, 60_000)
        await md.read()
        await md.client.flushall()
        await md.trade(90, 0)
        await md.read()
        assert md.price() == 100
        md.clock.advance(ANEW_EVERY_NS + 1)
        await md.read()
        assert md.price() == 90


async def test_a_key_that_is_no_stream_takes_no_price_away(md_url: str) -> None:
    async with market_at(md_url) as md:
        await md.client.set("md:AAPL:quotes", "something else")
        await md.trade(100, 1)
        await md.read("AAPL", "MSFT")
        assert md.price() == 100
        await md.client.set("md:MSFT:bars", "something else")
        await md.trade(101, 2)
        await md.trade(300, 2, symbol="MSFT")
        await md.read("AAPL", "MSFT")
        await md.read("AAPL", "MSFT")
        assert (md.price(), md.price("MSFT")) == (101, 300)


async def test_a_symbol_that_was_asked_for_is_wanted_for_a_while(md_url: str) -> None:
    async with market_at(md_url) as md:
        assert md.prices.due(["AAPL", "BTC/USD", "no symbol", "MD:X"]) == ["AAPL", "BTC/USD"]
        assert md.prices.wanted() == {"AAPL", "BTC/USD"}
        md.clock.advance(WANTED_FOR_NS)
        md.prices.due(["MSFT"])
        assert md.prices.wanted() == {"AAPL", "BTC/USD", "MSFT"}
        md.clock.advance(1)
        assert md.prices.wanted() == {"MSFT"}


@pytest.mark.parametrize("trouble", ["kill", "pause"])
async def test_without_an_answer_the_last_price_stays(trouble: str) -> None:
    with own_server("market") as server:
        async with market_at(server.url) as md:
            await md.trade(100, 1)
            await md.read()
            getattr(server, trouble)()
            await asyncio.wait_for(md.read(), 20 * ANSWER_TIMEOUT_S)
            assert md.price() == 100
            server.go_on() if trouble == "pause" else server.start_again()
