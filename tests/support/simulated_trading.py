"""Ingest, an OMS and an algorithm that trade on the simulator, and what its ledger says of them."""

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
from ingest_run import running as ingesting
from ingest_run import settings_for
from oms_run import Running, Trader, limits_with, running, trading
from simulator import Simulator
from waiting import until

from bus import streams
from bus.clock import SystemClock
from oms.broker.alpaca_broker import AlpacaBroker


def held(simulator: Simulator, symbol: str) -> Decimal:
    """The position by the simulator's fills."""
    fills = [fill for fill in simulator.ledger()["fills"] if fill["symbol"] == symbol]
    return sum((Decimal(fill["qty"]) * (1 if fill["side"] == "buy" else -1) for fill in fills), Decimal(0))


@contextlib.asynccontextmanager
async def traded(
    simulator: Simulator, md_url: str, orders_url: str, **oms_settings: Any
) -> AsyncIterator[tuple[Running, Trader]]:
    """Ingest that wants both symbols, an OMS, and an algorithm, on the simulator; each symbol has a price."""
    broker = AlpacaBroker(simulator.key, simulator.secret, SystemClock(), url=simulator.trading_url)
    values = {"limits": limits_with(price_age_seconds=20), **oms_settings}
    async with (
        ingesting(settings_for(simulator, md_url, orders_url)) as ingest,
        ingest.wanting("alpha", trades=["AAPL", "MSFT"]),
        running(md_url, orders_url, broker, **values) as oms,
        trading(orders_url) as algo,
    ):
        await until(lambda: priced(oms.market), "a price of each symbol")
        yield oms, algo


async def priced(market: Any) -> bool:
    """Whether each symbol has a price."""
    return all([await trades(market, name) for name in ("AAPL", "MSFT")])


async def trades(market: Any, symbol: str) -> list[Decimal]:
    """The prices of the simulator's last trades, newest first, without the one that `running` made up."""
    entries = await market.xrevrange(streams.market(symbol, "trades"), count=20)
    told = [orjson.loads(fields[b"d"]) for _, fields in entries if b"type" not in fields]
    return [Decimal(str(trade["p"])) for trade in told if "x" in trade]
