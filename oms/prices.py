"""Reference prices on demand: the last trade, quote or bar of a symbol, and when it was received."""

import asyncio
from collections.abc import Iterable

import structlog

from bus.clock import Clock
from bus.errors import ServerAway
from bus.link import Link
from bus.streams import market
from bus.wire import pack
from oms.reference_price import Price, choose, read_price

# Prices of symbols that were asked for lately are read anew this often, while nobody waits for them: a
# decision then only looks.
KEEP_S = 0.02
KEPT_FOR_NS = 5_000_000_000

# A price read this recently is not read again for a decision: what counts is when it was received, not
# by when it was read.
CACHE_NS = 40_000_000

# Prices must not hold up decisions: without an answer the last known price stays, and ages.
ANSWER_TIMEOUT_S = 0.25

_CHANNELS = ("trades", "quotes", "bars")

log = structlog.get_logger()


class Prices:
    """The market-data server's last entries by symbol, read in one pipelined request and kept warm.

    Mutable: `known` is what was read last, by symbol; when each symbol was read and last asked for.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.known: dict[str, Price] = {}
        self._link = Link(url, name="oms-prices")
        self._clock = clock
        self._read_ns: dict[str, int] = {}
        self._asked_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<prices of {len(self.known)} symbols>"

    def due(self, symbols: Iterable[str]) -> list[str]:
        """Note that these are asked for; returns those that were read too long ago to be used as they are."""
        now_ns = self._clock.monotonic_ns()
        found = []
        for symbol in symbols:
            self._asked_ns[symbol] = now_ns
            read_ns = self._read_ns.get(symbol)
            if read_ns is None or now_ns - read_ns > CACHE_NS:
                found.append(symbol)
        return found

    async def refresh(self, symbols: list[str]) -> None:
        """Read these now; without an answer in time the last known prices stay, and age."""
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._read(symbols, self._clock.monotonic_ns())
        except (ServerAway, TimeoutError) as error:
            log.warning("prices not readable", error=str(error) or "no answer in time")

    async def keep(self) -> None:
        """Read what was asked for lately again and again, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_S)
            since_ns = self._clock.monotonic_ns() - KEPT_FOR_NS
            if old := [symbol for symbol, asked_ns in self._asked_ns.items() if asked_ns < since_ns]:
                for symbol in old:
                    del self._asked_ns[symbol]
            if self._asked_ns:
                await self.refresh(list(self._asked_ns))

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _read(self, symbols: list[str], now_ns: int) -> None:
        wire = await self._link.opened()
        asked = [(symbol, channel) for symbol in symbols for channel in _CHANNELS]
        packed = b"".join(
            pack("XREVRANGE", market(symbol, channel), "+", "-", "COUNT", 1) for symbol, channel in asked
        )
        replies = await wire.send(packed, len(asked))
        found: dict[str, dict[str, Price]] = {symbol: {} for symbol in symbols}
        for (symbol, channel), reply in zip(asked, replies, strict=True):
            if isinstance(reply, Exception) or not reply:
                continue
            values = reply[0][1]
            price = read_price(channel, dict(zip(values[::2], values[1::2], strict=True)))
            if price is not None:
                found[symbol][channel] = price
        for symbol, prices in found.items():
            self._read_ns[symbol] = now_ns
            chosen = choose(
                prices.get("trades"), prices.get("quotes"), prices.get("bars"), self._clock.now_ns()
            )
            if chosen is not None:
                self.known[symbol] = chosen
