"""What a broker sees of the market."""

from decimal import Decimal
from typing import Protocol

from sim.exchange.touch import Touch


class MarketView(Protocol):
    """The quote and the last price of every symbol."""

    def touch(self, symbol: str) -> Touch | None:
        """The best bid and offer."""

    def traded_at(self, symbol: str) -> Decimal | None:
        """The last price."""

    def is_halted(self, symbol: str) -> bool:
        """Whether trading in the symbol is halted."""
