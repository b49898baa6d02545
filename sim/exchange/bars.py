"""Bars built from trades: one open bar per symbol, closed when its period is over."""

from sim.exchange.market_messages import AnyTrade, Bar


class _OpenBar:
    __slots__ = ("close", "count", "high", "low", "open", "start_ns", "value", "volume")

    def __init__(self, start_ns: int, price: float) -> None:
        self.start_ns = start_ns
        self.open = self.high = self.low = self.close = price
        self.volume = 0.0
        self.value = 0.0
        self.count = 0


class BarBuilder:
    """Collects trades into bars of `period_ns`, aligned to 1970."""

    def __init__(self, period_ns: int) -> None:
        self.period_ns = period_ns
        self._open: dict[str, _OpenBar] = {}
        self._boundary_ns = 0

    def closed(self, now_ns: int) -> list[Bar]:
        """The bars whose period is over at `now_ns`, by symbol; ask before adding a trade of that time."""
        if now_ns < self._boundary_ns:
            return []
        self._boundary_ns = now_ns - now_ns % self.period_ns + self.period_ns
        finished, self._open = self._open, {}
        return [self._bar(symbol, finished[symbol]) for symbol in sorted(finished)]

    def add(self, trade: AnyTrade) -> None:
        """Count one trade."""
        bar = self._open.get(trade.symbol)
        price, size = trade.price, trade.size
        if bar is None:
            bar = _OpenBar(trade.time_ns - trade.time_ns % self.period_ns, price)
            self._open[trade.symbol] = bar
        bar.high = max(bar.high, price)
        bar.low = min(bar.low, price)
        bar.close = price
        bar.volume += size
        bar.value += price * size
        bar.count += 1

    def unfinished(self, symbol: str) -> Bar | None:
        """The open bar as it stands."""
        bar = self._open.get(symbol)
        return None if bar is None else self._bar(symbol, bar)

    @staticmethod
    def _bar(symbol: str, bar: _OpenBar) -> Bar:
        volume = int(bar.volume) if bar.volume.is_integer() else round(bar.volume, 9)
        vwap = round(bar.value / bar.volume, 6) if bar.volume else bar.close
        return Bar(symbol, bar.open, bar.high, bar.low, bar.close, volume, bar.count, vwap, bar.start_ns)
