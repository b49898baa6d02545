"""Exact decimal arithmetic for quantities, prices and money: nothing is rounded unless the name says so."""

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
)

ZERO = Decimal(0)
NINTH_PLACE = Decimal("0.000000001")

# A quantity and a price have up to 15 digits before the point and nine after it: 48 digits hold their
# product, the rest is room for sums. The default context of 28 digits would round.
_EXACT = Context(prec=72, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
_MAXIMUM_EXPONENT = 14


def is_amount(value: Decimal) -> bool:
    """Whether this is a finite number with at most nine places and fifteen digits before the point."""
    if not value:
        return True
    if not value.is_finite() or value.adjusted() > _MAXIMUM_EXPONENT:
        return False
    return not _EXACT.remainder(value, NINTH_PLACE)


# The exact product, sum and difference: the context's own methods, as a decision calls them dozens of times.
times = _EXACT.multiply
plus = _EXACT.add
minus = _EXACT.subtract


def ceiling(value: Decimal) -> Decimal:
    """The value rounded up to nine places, so that a reservation is never too small."""
    return value.quantize(NINTH_PLACE, rounding=ROUND_CEILING, context=_EXACT)


def quotient_nearest(left: Decimal, right: Decimal) -> Decimal:
    """The quotient, rounded to the nearest nine places. Raises DivisionByZero."""
    return _EXACT.divide(left, right).quantize(NINTH_PLACE, rounding=ROUND_HALF_EVEN, context=_EXACT)


def quotient_up(left: Decimal, right: Decimal) -> Decimal:
    """The quotient, rounded up to nine places. Raises DivisionByZero."""
    return ceiling(_EXACT.divide(left, right))


def quotient_down(left: Decimal, right: Decimal) -> Decimal:
    """The quotient, rounded towards zero to nine places. Raises DivisionByZero."""
    return _EXACT.divide(left, right).quantize(NINTH_PLACE, rounding=ROUND_DOWN, context=_EXACT)


def text(value: Decimal) -> str:
    """The number for people and for Alpaca: no exponent, no trailing zeros, no sign of a zero."""
    if not value:
        return "0"
    shown = format(value, "f")
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
