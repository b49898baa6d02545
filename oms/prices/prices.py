"""Reference prices on demand: read, and kept up to date, for the symbols that orders are asked for in."""

import asyncio
from collections.abc import Iterable, Sequence
from decimal import Decimal

import structlog

from bus.clock import Clock
from bus.error_answers import refusal
from bus.errors import InvalidInput, RefusedForNow, ServerAway
from bus.link import Link
from bus.outage import Outage
from bus.streams import market
from bus.symbols import checked_symbol
from bus.wire import Reply, Wire, pack
from oms.prices.reference_price import Known, Price, SymbolMarket, channels

# What came since is read this often, of symbols that were asked for lately, while nobody waits for it: a
# decision then only looks.
KEEP_S = 0.02
KEPT_FOR_NS = 5_000_000_000

# A price read this recently is not read again for a decision: what counts is its age, not when it was read.
CACHE_NS = 40_000_000

# Prices must not hold up decisions: without an answer the last known price stays, and ages.
ANSWER_TIMEOUT_S = 0.25

# A symbol that an order was asked for in is wanted of ingest for so long after it.
WANTED_FOR_NS = 60_000_000_000

# How far back a symbol is read where it is not followed yet: enough that what counts is most likely among it.
TAILS = {
    "statuses": 32,
    "corrections": 16,
    "cancelErrors": 16,
    "trades": 32,
    "quotes": 8,
    "bars": 4,
    "snapshots": 1,
}

# Entries of one stream that are read on at once. A stream with more of them is read anew, from its end: what
# lies between is older.
MOST_AT_ONCE = 16

# Symbols in one command: their entries are worked out in some milliseconds, and decisions come between.
SYMBOLS_AT_ONCE = 32

# So often a symbol is read anew, for a stream that was deleted and begun again below what was read of it.
ANEW_EVERY_NS = 5_000_000_000

_READ_ON = ("XREAD", "COUNT", MOST_AT_ONCE, "STREAMS")

log = structlog.get_logger()


class _Followed:
    """One symbol as it is followed.

    Mutable: what its entries make of it; when they were last read (monotonic); whether they are to be read
    anew, whenever that was; the last id read of each of its streams. Names and ids are kept as they go into
    a command: packing those of a hundred symbols each time would cost more than all the rest.
    """

    __slots__ = ("anew_ns", "ids", "is_broken_off", "market", "names", "positions", "read_ns")

    def __init__(self, now_ns: int) -> None:
        self.market = SymbolMarket()
        self.anew_ns = self.read_ns = now_ns
        self.is_broken_off = False
        self.positions: dict[str, bytes] = {}
        self.names = self.ids = b""

    def take(self, symbol: str, found: Iterable[tuple[str, Sequence[Reply]]]) -> None:
        """Take entries, oldest first, of streams of this symbol, by channel."""
        take = self.market.take
        for channel, entries in found:
            for _, values in entries:
                take(channel, dict(zip(values[::2], values[1::2], strict=True)))
            if channel not in self.positions:
                self.positions[channel] = b"0-0"
                self.names = _packed(market(symbol, name) for name in self.positions)
            if entries:
                self.positions[channel] = entries[-1][0]
        self.ids = _packed(self.positions.values())


class Prices:
    """The prices of symbols that were asked for lately, read on from where they were read to.

    Mutable: `known` is what was worked out last, by symbol; what is followed; when each was last asked for.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.known: dict[str, Known] = {}
        self._link = Link(url, name="oms-prices")
        self._unread = Outage("prices not readable")
        self._clock = clock
        self._followed: dict[str, _Followed] = {}
        # Set once any is followed: until then there is nothing to wake for fifty times a second.
        self._follows = asyncio.Event()
        self._asked_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<prices of {len(self.known)} symbols, {len(self._followed)} followed>"

    def due(self, symbols: Iterable[str]) -> list[str]:
        """Note that these are asked for; returns those that were read too long ago to be used as they are.

        What no symbol can be named is left out: there is no stream of it.
        """
        now_ns = self._clock.monotonic_ns()
        found = []
        for symbol in symbols:
            if symbol not in self._asked_ns and not _is_symbol(symbol):
                continue
            self._asked_ns[symbol] = now_ns
            followed = self._followed.get(symbol)
            if followed is None or now_ns - followed.read_ns > CACHE_NS:
                found.append(symbol)
        return found

    def last(self, symbols: Iterable[str]) -> dict[str, Decimal]:
        """The last price of each of these that has one, however old."""
        known = ((symbol, self.known.get(symbol)) for symbol in symbols)
        return {symbol: price.price for symbol, price in known if isinstance(price, Price)}

    def wanted(self) -> set[str]:
        """The symbols that were asked for lately: what ingest hears of them is needed."""
        since_ns = self._clock.monotonic_ns() - WANTED_FOR_NS
        self._asked_ns = {
            symbol: asked_ns for symbol, asked_ns in self._asked_ns.items() if asked_ns >= since_ns
        }
        return set(self._asked_ns)

    async def refresh(self, symbols: Sequence[str]) -> bool:
        """Read these now; without an answer in time the last known prices stay, and age: False then.

        Without symbols it is only asked whether the server answers.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._read(symbols)
        except (ServerAway, TimeoutError) as error:
            self._unread.goes_on(str(error) or "no answer in time")
            return False
        self._unread.ended()
        return True

    async def keep(self) -> None:
        """Read on what was asked for lately again and again, until cancelled.

        Nobody waits for that, so a server that does not answer may take its time; it is not asked meanwhile.
        """
        while True:
            if not self._followed:
                self._follows.clear()
                await self._follows.wait()
            await asyncio.sleep(KEEP_S)
            since_ns = self._clock.monotonic_ns() - KEPT_FOR_NS
            for symbol in [one for one in self._followed if self._asked_ns.get(one, 0) < since_ns]:
                del self._followed[symbol]
            symbols = list(self._followed)
            for start in range(0, len(symbols), SYMBOLS_AT_ONCE):
                with self._unread:
                    await self._read(symbols[start : start + SYMBOLS_AT_ONCE])

    async def close(self) -> None:
        """Close the connection."""
        await self._link.close()

    async def _read(self, symbols: Sequence[str]) -> None:
        """Read on what is followed; anew what is not, or was not for a while."""
        wire = await self._link.opened()
        if not symbols:
            # That a connection is open says nothing of a server that hangs.
            await wire.call("PING")
        now_ns = self._clock.monotonic_ns()
        followed: dict[str, _Followed] = {}
        anew = []
        for symbol in symbols:
            one = self._followed.get(symbol)
            if one is None or one.is_broken_off or now_ns - one.anew_ns > ANEW_EVERY_NS:
                anew.append(symbol)
            else:
                followed[symbol] = one
        if anew:
            await self._read_anew(wire, anew, now_ns)
        if followed:
            await self._read_on(wire, followed, now_ns)

    async def _read_anew(self, wire: Wire, symbols: Sequence[str], now_ns: int) -> None:
        """Read the ends of all streams of these symbols, in one write."""
        asked = [(symbol, channel) for symbol in symbols for channel in channels(symbol)]
        packed = b"".join(
            pack("XREVRANGE", market(symbol, channel), "+", "-", "COUNT", TAILS[channel])
            for symbol, channel in asked
        )
        replies = await wire.send(packed, len(asked))
        found: dict[str, list[tuple[str, Sequence[Reply]]]] = {symbol: [] for symbol in symbols}
        for (symbol, channel), reply in zip(asked, replies, strict=True):
            # A key of another type is no stream of ours.
            if not _is_error(reply):
                found[symbol].append((channel, reply[::-1]))
        for symbol, entries in found.items():
            one = self._followed[symbol] = _Followed(now_ns)
            one.take(symbol, entries)
            self._work_out(symbol, one)
        self._follows.set()

    async def _read_on(self, wire: Wire, followed: dict[str, _Followed], now_ns: int) -> None:
        """Read what came into the streams of these symbols since, in one command."""
        streams = sum(len(one.positions) for one in followed.values())
        if not streams:
            return
        head = b"*%d\r\n" % (len(_READ_ON) + 2 * streams) + _packed(_READ_ON)
        names = [one.names for one in followed.values()]
        (reply,) = await wire.send(b"".join((head, *names, *(one.ids for one in followed.values()))))
        if _is_error(reply):
            # One of the keys became one of another type: read anew, they are told apart.
            for one in followed.values():
                one.is_broken_off = True
            return
        for one in followed.values():
            one.read_ns = now_ns
        found: dict[str, list[tuple[str, Sequence[Reply]]]] = {}
        for stream, entries in reply or ():
            _, symbol, channel = stream.decode().split(":")
            found.setdefault(symbol, []).append((channel, entries))
            if len(entries) >= MOST_AT_ONCE:
                followed[symbol].is_broken_off = True
        for symbol, came in found.items():
            followed[symbol].take(symbol, came)
            self._work_out(symbol, followed[symbol])

    def _work_out(self, symbol: str, one: _Followed) -> None:
        """Tell what is known of a symbol now, unless it was read anew meanwhile."""
        if self._followed.get(symbol) is not one:
            return
        known = one.market.known()
        if known is None:
            self.known.pop(symbol, None)
        else:
            self.known[symbol] = known


def _is_error(reply: Reply) -> bool:
    """Whether it will never be answered. Raises RefusedForNow where the server answers nobody now."""
    if not isinstance(reply, Exception):
        return False
    error = refusal(str(reply))
    if isinstance(error, RefusedForNow):
        raise error
    return True


def _is_symbol(name: str) -> bool:
    try:
        return bool(checked_symbol(name))
    except InvalidInput:
        return False


def _packed(arguments: Iterable[str | bytes | int]) -> bytes:
    """Arguments of a command as they go over the wire, without what says how many there are."""
    return pack(*arguments).partition(b"\r\n")[2]
