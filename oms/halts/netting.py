"""Who sells and buys how much so that a symbol is closed, and who settles with whom inside. Pure.

The broker knows the account's position alone: of holders that stand against each other it can only be sent
the difference.
"""

from collections.abc import Mapping
from decimal import Decimal

from bus.book_messages import Booked
from oms.amounts import ZERO, minus, plus, quotient_nearest, times
from oms.book.flattens import Flatten
from oms.book.orders import Order
from oms.state.step import Step


def closing(
    holders: Mapping[str, Decimal], booked: Decimal, at_broker: Decimal, *, whole: bool
) -> dict[str, Decimal]:
    """What each holder is to trade next, signed; nothing where no order can be sent.

    `holders` are those that are closed, with what they hold; `booked` and `at_broker` what the account holds
    by the book and by the broker's word. `whole`: nobody else holds the symbol.

    No order crosses the account's zero, and none closes more than the broker has: of 10 that a book has of
    what the broker has 6 of, or none, only 6, or none, can be sold, for the rest would be sold short.
    """
    net = sum(holders.values(), ZERO)
    if not net:
        return {}
    sign = 1 if net > 0 else -1
    closable, theirs = max(ZERO, sign * booked), max(ZERO, sign * at_broker)
    if closable:
        room = min(abs(net), closable, theirs)
    else:
        # Others hold as much the other way: what closes this holder opens a position of the account.
        room = abs(net) if not whole and booked == at_broker else ZERO
    orders: dict[str, Decimal] = {}
    for name in sorted(holders):
        part = min(room, sign * holders[name])
        if part > 0:
            orders[name] = -sign * part
            room = minus(room, part)
    return orders


def settle(step: Step, flatten: Flatten, symbol: str, holders: Mapping[str, Decimal]) -> None:
    """Book out what holders have whose sum is zero, at the price for which the rest was traded at the broker.

    Where nothing was, at the last price that was known; where none was, at that of the last fill.
    """
    assert not sum(holders.values(), ZERO), "what is left over can be closed at the broker alone"
    price, begun = _price(step, flatten, symbol), flatten.begun
    for name, held in sorted(holders.items()):
        step.record(
            Booked(
                algorithm=name,
                kind="netted",
                symbol=symbol,
                quantity=-held,
                price=price,
                cash=times(held, price),
                # Late fills may lead to it a second time.
                reference=f"{begun.entry_id} {step.now_ns}",
                reason=begun.reason,
                by=begun.by,
                at_ns=step.now_ns,
            )
        )


def _price(step: Step, flatten: Flatten, symbol: str) -> Decimal:
    own = [step.book.orders[order_id] for order_id in flatten.orders.get(symbol, ())]
    if average := _average(own):
        return average
    known = flatten.begun.prices.get(symbol)
    if known is not None:
        return known
    newest_first = reversed(step.book.orders.values())
    last = next((one for one in newest_first if one.symbol == symbol and one.filled), None)
    return ZERO if last is None else _average([last])


def _average(orders: list[Order]) -> Decimal:
    filled = paid = ZERO
    for order in orders:
        filled, paid = plus(filled, order.filled), plus(paid, order.paid)
    return quotient_nearest(paid, filled) if filled else ZERO
