"""The part of the market that a broker reads."""

from decimal import Decimal
from typing import Protocol

from sim.exchange.touch import Touch


class MarketView(Protocol):
    """Quote, last price and halt of every symbol."""

    def touch(self, symbol: str) -> Touch | None:
        """Return the best bid and ask."""

    def traded_at(self, symbol: str) -> Decimal | None:
        """Return the last price."""

    def is_halted(self, symbol: str) -> bool:
        """Return whether trading in the symbol is halted."""
