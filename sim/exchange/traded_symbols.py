"""The symbols that trade, and the tape of each."""

from collections.abc import Callable, Iterable

from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.tapes import tape_of
from sim.exchange.venue import Venue


class TradedSymbols:
    """The symbols that trade; `want` adds to them, and starts a market that waits for a subscription."""

    def __init__(self, assets: Assets, venue: Venue, clock: Clock, begin: Callable[[], None]) -> None:
        self._assets = assets
        self._venue = venue
        self._clock = clock
        self._begin = begin

    def want(self, symbols: Iterable[str]) -> None:
        """Have these symbols quoted from now on, as far as they are known."""
        for symbol in sorted(symbols):
            asset = self._assets.find(symbol)
            if asset is not None:
                self._venue.ensure_quoted(asset, self._clock.now_ns())
        self._begin()

    def symbols(self) -> list[str]:
        """Return everything that has been quoted or traded, in order."""
        return self._venue.market.symbols()

    def tape_of(self, symbol: str) -> str:
        """Return the tape of a share."""
        asset = self._assets.find(symbol)
        return "C" if asset is None else tape_of(asset)
