"""A moving-average cross on bars: hold a symbol while its fast average is above its slow one."""

from collections import defaultdict, deque
from decimal import Decimal

from algos import Algorithm, Bar, parameter


class MovingAverageCross(Algorithm):
    """Buys when the average close of the last `fast` bars rises above that of the last `slow` bars, and sells
    when it falls below. It holds `quantity` of a symbol or nothing."""

    fast: int = parameter(3, "bars of the fast average")
    slow: int = parameter(8, "bars of the slow average")
    quantity: Decimal = parameter(Decimal(1), "how much of a symbol to hold")

    def prepare(self) -> None:
        """Averages need closes; an order of averages that cannot cross is a mistake."""
        if not 0 < self.fast < self.slow:
            raise ValueError(f"fast={self.fast} and slow={self.slow}: fast must be above 0 and below slow")
        self.closes: defaultdict[str, deque[Decimal]] = defaultdict(lambda: deque(maxlen=self.slow))

    def on_bar(self, bar: Bar) -> None:
        """Compare the averages; one order at a time for each symbol."""
        closes = self.closes[bar.symbol]
        closes.append(bar.close)
        if len(closes) < self.slow or self.has_open_order(bar.symbol):
            return
        fast = sum(list(closes)[-self.fast :]) / self.fast
        slow = sum(closes) / self.slow
        held = self.position(bar.symbol)
        if fast > slow and held <= 0:
            self.buy(bar.symbol, self.quantity)
        elif fast < slow and held > 0:
            self.sell(bar.symbol, held)
