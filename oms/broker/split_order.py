"""Whether the broker's order is one of ours that a split has changed: more shares, each cheaper. Pure."""

from decimal import Decimal
from fractions import Fraction

from bus.order_messages import OrderTerms
from oms.broker.protocol import BrokerOrder, same_symbol_and_side

# A split gives so many new shares for so many old ones, at most.
MOST_SHARES = 1000

# What brokers round a price to after a split: the tick of shares, below a dollar and from there on.
_FINE_TICK, _TICK = Fraction(1, 10_000), Fraction(1, 100)


def after_split(terms: OrderTerms, found: BrokerOrder, new: int, old: int) -> bool:
    """Whether it has these terms after a split that gave `new` for `old` shares.

    The broker may cut off a part of a share, and rounds prices to a tick.
    """
    ratio = Fraction(new, old)
    return (
        same_symbol_and_side(terms, found)
        and (terms.notional is None or terms.notional == found.notional)
        and _is_about(terms.quantity, found.quantity, ratio, Fraction(1))
        and all(
            _is_about(ours, theirs, 1 / ratio, _FINE_TICK if theirs is not None and theirs < 1 else _TICK)
            for ours, theirs in (
                (terms.limit_price, found.limit_price),
                (terms.stop_price, found.stop_price),
            )
        )
    )


def split_told(terms: OrderTerms, found: BrokerOrder) -> bool:
    """Whether its own numbers tell of a split: so much more shares as each is cheaper, or the other way."""
    prices = terms.limit_price, terms.stop_price
    if not terms.quantity or not found.quantity or prices == (None, None):
        return False
    ratio = Fraction(found.quantity) / Fraction(terms.quantity)
    is_split = ratio != 1 and max(ratio.numerator, ratio.denominator) <= MOST_SHARES
    return is_split and after_split(terms, found, ratio.numerator, ratio.denominator)


def _is_about(ours: Decimal | None, theirs: Decimal | None, factor: Fraction, within: Fraction) -> bool:
    """Whether one is the other times the factor, less far off than that; what we did not say is not asked."""
    if ours is None:
        return True
    return theirs is not None and abs(Fraction(theirs) - Fraction(ours) * factor) < within
