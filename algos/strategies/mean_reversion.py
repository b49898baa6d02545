"""A mean reversion on trades: buy what fell well below its recent mean, sell it when it is back above."""

from collections import defaultdict, deque
from decimal import Decimal

from algos import Algorithm, Fill, Order, Trade, parameter

SECOND_NS = 1_000_000_000
ZERO = Decimal(0)


class MeanReversion(Algorithm):
    """Buys when a trade is `deviations` standard deviations below the mean of the last `window` trades, and
    sells when one is as far above it. It holds `quantity` or nothing, and rests after an order."""

    window: int = parameter(20, "trades to take the mean of")
    deviations: Decimal = parameter(Decimal(1), "how far from the mean is far")
    quantity: Decimal = parameter(Decimal(1), "how much of a symbol to hold")
    rest_s: int = parameter(3, "seconds without an order in a symbol after one")

    def prepare(self) -> None:
        """Prices by symbol, and until when each symbol rests."""
        if self.window < 2:
            raise ValueError(f"window={self.window}: a deviation needs two trades at least")
        self.prices: defaultdict[str, deque[Decimal]] = defaultdict(lambda: deque(maxlen=self.window))
        self.rests_until_ns: dict[str, int] = {}

    def on_trade(self, trade: Trade) -> None:
        """Compare the price with what it was of late; one order at a time for each symbol."""
        symbol, prices = trade.symbol, self.prices[trade.symbol]
        full = len(prices) == self.window
        prices.append(trade.price)
        if not full or self.now_ns < self.rests_until_ns.get(symbol, 0) or self.has_open_order(symbol):
            return
        mean = sum(prices, ZERO) / self.window
        variance = sum(((price - mean) ** 2 for price in prices), ZERO) / (self.window - 1)
        far = self.deviations * variance.sqrt()
        held = self.position(symbol)
        if trade.price < mean - far and held <= 0:
            self.buy(symbol, self.quantity)
        elif trade.price > mean + far and held > 0:
            self.sell(symbol, held)

    def on_fill(self, fill: Fill) -> None:
        """Rest, so that a wild market does not spend the broker's rate budget on one symbol."""
        self.rest(fill.symbol)

    def on_order(self, order: Order) -> None:
        """Rest after a refusal too: asking again with each trade would change nothing."""
        if not order.is_open:
            self.rest(order.symbol)

    def rest(self, symbol: str) -> None:
        """No order in this symbol for a while."""
        self.rests_until_ns[symbol] = self.now_ns + self.rest_s * SECOND_NS
