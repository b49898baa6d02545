"""Booking what happens to the account otherwise than by trades: dividends, fees, transfers. Pure.

It belongs to `external`, whoever held the shares: no algorithm made it happen.
"""

from collections.abc import Iterable

from bus.book_messages import ActivityHeard, Booked
from bus.streams import EXTERNAL
from oms.broker.protocol import BrokerActivity
from oms.state.step import Step

_DAY_NS = 24 * 3600 * 1_000_000_000

# An activity bears the day on which it counts, and may be listed days later.
_LISTED_WITHIN_NS = 7 * _DAY_NS


def since_ns(step: Step) -> int:
    """From when on activities are asked for; after a stop, from before it."""
    return max(0, step.observed.activities_ns - _LISTED_WITHIN_NS)


def book(step: Step, activities: Iterable[BrokerActivity]) -> None:
    """Book those that are news, each once."""
    for one in activities:
        if one.id in step.state.activities:
            continue
        if one.unreadable:
            step.error("activity at the broker not understood", activity=one.id, error=one.unreadable)
        if one.cash or one.quantity:
            step.record(
                Booked(
                    algorithm=EXTERNAL,
                    kind="activity",
                    symbol=one.symbol if one.quantity else "",
                    quantity=one.quantity,
                    price=one.price,
                    cash=one.cash,
                    reference=one.id,
                    reason=_named(one),
                    by="broker",
                    at_ns=step.now_ns,
                )
            )
        else:
            step.record(
                ActivityHeard(
                    activity_id=one.id,
                    type=one.type,
                    symbol=one.symbol,
                    description=f"not understood: {one.unreadable}" if one.unreadable else one.description,
                    at_ns=step.now_ns,
                )
            )


def _named(one: BrokerActivity) -> str:
    about = f" of {one.symbol}" if one.symbol else ""
    return f"{one.type}{about}: {one.description}" if one.description else f"{one.type}{about}"
