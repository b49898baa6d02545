"""Limit up and limit down: the prices between which a share may trade, by the plan of that name."""

from decimal import ROUND_HALF_UP, Decimal

from sim.amounts import CENT
from sim.exchange.assets_known import KNOWN
from sim.exchange.market_messages import PriceBand
from sim.times import SECOND_NS

# Tier 1 holds the shares of the large indices; here, well-known shares.
_TIER_1 = frozenset(row[0] for row in KNOWN)
_PERCENT_TIER_1 = Decimal("0.05")
_PERCENT_TIER_2 = Decimal("0.10")
_PERCENT_CHEAP = Decimal("0.20")  # from 0.75 up to 3 dollars, either tier
_PERCENT_PENNY = Decimal("0.75")  # below 0.75 dollars, or 0.15 dollars where that is less
_CHEAP, _PENNY, _PENNY_BAND = Decimal(3), Decimal("0.75"), Decimal("0.15")
REPEAT_NS = 30 * SECOND_NS  # a reference price holds at least this long
_MOVE = Decimal("0.01")  # how far the price moves from the reference before bands move

# Indicators of the UTP plan.
_OPENING, _INTRADAY, _RESTATED, _SUSPENDED, _REOPENING = "A", "B", "C", "D", "E"


def band(symbol: str, reference: Decimal) -> tuple[Decimal, Decimal]:
    """Return limit down and limit up around a reference price, in whole cents (sections I.(U) and V)."""
    if reference < _PENNY:
        width = min(_PENNY_BAND, reference * _PERCENT_PENNY)
    elif reference <= _CHEAP:
        width = reference * _PERCENT_CHEAP
    else:
        width = reference * (_PERCENT_TIER_1 if symbol in _TIER_1 else _PERCENT_TIER_2)
    down, up = reference - width, reference + width
    return down.quantize(CENT, ROUND_HALF_UP), up.quantize(CENT, ROUND_HALF_UP)


class PriceBands:
    """The bands in force, by symbol: sent when they are new, when the price moves 1 %, and every 30 s."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[Decimal, int]] = {}
        self._suspended: set[str] = set()

    def due(self, symbol: str, tape: str, price: Decimal, time_ns: int) -> PriceBand | None:
        """Return the message to send now, or None; `price` is that of the last trade."""
        if symbol in self._suspended:
            return None
        told = self._told.get(symbol)
        if told is None:
            return self._tell(symbol, tape, price, _OPENING, time_ns)
        reference, told_ns = told
        if abs(price - reference) >= reference * _MOVE:
            return self._tell(symbol, tape, price, _INTRADAY, time_ns)
        if time_ns - told_ns >= REPEAT_NS:
            return self._tell(symbol, tape, reference, _RESTATED, time_ns)
        return None

    def suspend(self, symbol: str, tape: str, price: Decimal, time_ns: int) -> PriceBand:
        """Remove the bands while trading is halted."""
        told = self._told.get(symbol)
        self._suspended.add(symbol)
        return self._tell(symbol, tape, price if told is None else told[0], _SUSPENDED, time_ns)

    def resume(self, symbol: str, tape: str, price: Decimal, time_ns: int) -> PriceBand:
        """Set new bands after a halt, around the price at which trading resumes."""
        self._suspended.discard(symbol)
        return self._tell(symbol, tape, price, _REOPENING, time_ns)

    def _tell(self, symbol: str, tape: str, reference: Decimal, indicator: str, time_ns: int) -> PriceBand:
        self._told[symbol] = (reference, time_ns)
        down, up = band(symbol, reference)
        return PriceBand(symbol, *_as_prices(up, down), indicator, time_ns, tape)


def _as_prices(up: Decimal, down: Decimal) -> tuple[float, float]:
    """Return the pair as the floats of market data."""
    return float(up), float(down)
