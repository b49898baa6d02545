"""Builds bars from trades: one open bar per symbol, closed when its period is over."""

from collections.abc import Iterable

from sim.exchange.market_messages import AnyTrade, Bar

_FAR_NS = 1 << 62


class _OpenBar:
    __slots__ = (
        "close",
        "count",
        "first_ns",
        "high",
        "last_ns",
        "low",
        "open",
        "start_ns",
        "value",
        "volume",
    )

    def __init__(self, start_ns: int, price: float) -> None:
        self.start_ns = start_ns
        self.open = self.high = self.low = self.close = price
        self.volume: float = 0
        self.value: float = 0
        self.count = 0
        self.first_ns = _FAR_NS
        self.last_ns = start_ns


class BarBuilder:
    """Builds bars of `period_ns`, aligned to 1970."""

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self._open: dict[str, _OpenBar] = {}
        self._over: dict[str, _OpenBar] = {}  # the bars that ended last, for late trades
        self._boundary_ns = 0

    def closed(self, now_ns: int) -> list[Bar]:
        """Return the bars that are over at `now_ns`, by symbol; call it before adding trades of that time."""
        if now_ns < self._boundary_ns:
            return []
        self._boundary_ns = now_ns - now_ns % self.period_ns + self.period_ns
        finished = {
            symbol: bar for symbol, bar in self._open.items() if bar.start_ns + self.period_ns <= now_ns
        }
        self._open = {symbol: bar for symbol, bar in self._open.items() if symbol not in finished}
        self._over = finished
        return [Bar(*_fields(symbol, finished[symbol])) for symbol in sorted(finished)]

    def add(self, trade: AnyTrade) -> None:
        """Add one trade."""
        bar = self._open.get(trade.symbol)
        if bar is None:
            bar = _OpenBar(trade.time_ns - trade.time_ns % self.period_ns, trade.price)
            self._open[trade.symbol] = bar
        _count(bar, trade)

    def add_late(self, trade: AnyTrade) -> Bar | None:
        """Add a trade that comes after trades of later times.

        Returns the bar of the period that ended last, if the trade belongs to it. Otherwise returns None: the
        trade belongs to the open bar, or came too late to be counted.
        """
        start_ns = trade.time_ns - trade.time_ns % self.period_ns
        if start_ns == self._boundary_ns - self.period_ns:
            self.add(trade)
        if start_ns != self._boundary_ns - 2 * self.period_ns:
            return None
        symbol = trade.symbol
        bar = self._over.get(symbol)
        if bar is None:
            bar = self._over[symbol] = _OpenBar(start_ns, trade.price)
        _count(bar, trade)
        return Bar(*_fields(symbol, bar))

    def unfinished(self, symbol: str) -> Bar | None:
        """Return the open bar as it stands."""
        bar = self._open.get(symbol)
        return None if bar is None else Bar(*_fields(symbol, bar))

    def recount(self, symbol: str, start_ns: int, trades: Iterable[AnyTrade]) -> None:
        """Make a bar again from these trades, in order of time, if it is open or ended last."""
        for bars in (self._open, self._over):
            if symbol in bars and bars[symbol].start_ns == start_ns:
                made = _made(trades, start_ns)
                if made is None:
                    del bars[symbol]
                else:
                    bars[symbol] = made


def bar_of(trades: Iterable[AnyTrade], start_ns: int) -> Bar | None:
    """Return the bar of one symbol's trades, in order of time; None without trades."""
    counted = list(trades)
    made = _made(counted, start_ns)
    return None if made is None else Bar(*_fields(counted[0].symbol, made))


def _made(trades: Iterable[AnyTrade], start_ns: int) -> _OpenBar | None:
    made: _OpenBar | None = None
    for trade in trades:
        if made is None:
            made = _OpenBar(start_ns, trade.price)
        _count(made, trade)
    return made


def _count(bar: _OpenBar, trade: AnyTrade) -> None:
    price, size = trade.price, trade.size
    bar.high = max(bar.high, price)
    bar.low = min(bar.low, price)
    if trade.time_ns < bar.first_ns:
        bar.open = price
        bar.first_ns = trade.time_ns
    if trade.time_ns >= bar.last_ns:
        bar.close = price
        bar.last_ns = trade.time_ns
    bar.volume += size
    bar.value += price * size
    bar.count += 1


def _fields(symbol: str, bar: _OpenBar) -> tuple[str, float, float, float, float, float, int, float, int]:
    whole = int(bar.volume)
    # Whole numbers for shares, as some clients read no others; never for crypto pairs.
    volume = whole if whole == bar.volume and "/" not in symbol else round(bar.volume, 9)
    vwap = round(bar.value / bar.volume, 6) if bar.volume else bar.close
    return symbol, bar.open, bar.high, bar.low, bar.close, volume, bar.count, vwap, bar.start_ns
