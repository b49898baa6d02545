"""What trades here, as streams and events ask about it."""

from collections.abc import Callable, Iterable

from sim.clock import Clock
from sim.exchange.assets import Assets
from sim.exchange.tapes import tape_of
from sim.exchange.venue import Venue


class TradedSymbols:
    """The symbols played, and more as soon as somebody wants them; `begin` starts the market if it waits."""

    def __init__(self, assets: Assets, venue: Venue, clock: Clock, begin: Callable[[], None]) -> None:
        self._assets = assets
        self._venue = venue
        self._clock = clock
        self._begin = begin

    def want(self, symbols: Iterable[str]) -> None:
        """See that these are quoted from now on, where they are known at all."""
        for symbol in sorted(symbols):
            asset = self._assets.find(symbol)
            if asset is not None:
                self._venue.ensure_quoted(asset, self._clock.now_ns())
        self._begin()

    def symbols(self) -> list[str]:
        """Everything that has been quoted or traded, in order."""
        return self._venue.market.symbols()

    def tape_of(self, symbol: str) -> str:
        """The tape of a share."""
        asset = self._assets.find(symbol)
        return "C" if asset is None else tape_of(asset)
