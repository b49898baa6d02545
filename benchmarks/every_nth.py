"""An algorithm that asks for an order on every nth trade: the least work between a tick and a request."""

from decimal import Decimal

from algos import Algorithm, Trade, parameter


class EveryNth(Algorithm):
    """Buys one share at a limit near the market."""

    nth: int = parameter(50, "trades to an order")

    def prepare(self) -> None:
        """Nothing has been seen."""
        self.seen = 0

    def on_trade(self, trade: Trade) -> None:
        """Count, and order when it is time."""
        self.seen += 1
        if self.seen % self.nth == 0:
            self.buy(trade.symbol, 1, limit_price=trade.price.quantize(Decimal("0.01")))
