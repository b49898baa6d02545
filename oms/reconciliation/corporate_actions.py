"""Splits and renames, at an operator's word: the book and the limits of the symbol change together. Pure.

Open orders are left to the broker, which adjusts or cancels them; its word on each is taken as it comes.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bus.book_messages import Booked, CorporateActionTaken, Declined
from bus.control_messages import TakeCorporateAction
from bus.errors import InvalidInput
from bus.symbols import checked_symbol
from oms.amounts import ZERO, is_amount, minus, quotient_down, text, times
from oms.book.orders import ID_CONFLICT
from oms.broker.split_order import MOST_SHARES
from oms.limits.limit_places import flat
from oms.requests import limit_commands
from oms.state.step import Step

# Limits that count shares of one symbol; those in dollars stay as they are.
_IN_SHARES = ("order_quantity", "position_quantity")

_SECOND_NS = 1_000_000_000
_DAY_NS = 24 * 3600 * _SECOND_NS


def take(step: Step, entry_id: str, message: TakeCorporateAction) -> None:
    """Book it for everyone who holds the symbol, or say why not."""
    why = _why_not(step, message)
    if why is not None:
        step.record(Declined(entry_id=entry_id, why=why, by=message.by, at_ns=step.now_ns))
        return
    ledger = step.book.ledger
    holders = [name for name in sorted(ledger.names()) if ledger.position(message.symbol, name)]
    step.record(
        CorporateActionTaken(
            entry_id=entry_id,
            symbol=message.symbol,
            new_symbol=message.new_symbol,
            new=message.new,
            old=message.old,
            holders=tuple(holders),
            reason=message.reason,
            by=message.by,
            at_ns=step.now_ns,
        )
    )
    for name in holders:
        if message.new_symbol == message.symbol:
            _split(step, entry_id, message, name)
        else:
            _rename(step, entry_id, message, name)
    _change_limits(step, entry_id, message)
    for order in step.book.orders.values():
        if order.symbol == message.symbol and order.refusal == ID_CONFLICT:
            # What stands under its id may be what the split made of it.
            step.look_up(order.client_order_id)


def _why_not(step: Step, message: TakeCorporateAction) -> str | None:
    try:
        for symbol in (message.symbol, message.new_symbol):
            checked_symbol(symbol)
    except InvalidInput as error:
        return str(error)
    if not (0 < message.new <= MOST_SHARES and 0 < message.old <= MOST_SHARES):
        return f"{message.new}:{message.old} is no split: give new for old shares, up to {MOST_SHARES}"
    renames = message.new_symbol != message.symbol
    if not renames and message.new == message.old:
        return f"{message.new}:{message.old} changes nothing"
    booked_ns = step.state.corporate_actions.get(
        (message.symbol, message.new_symbol, message.new, message.old)
    )
    if booked_ns is not None and step.now_ns - booked_ns < _DAY_NS:
        seconds = (step.now_ns - booked_ns) // _SECOND_NS
        return (
            f"the same was booked {seconds} s ago, and twice in a day is a mistake: `backbone reconcile` "
            "says whether the books agree"
        )
    if not (
        step.book.position(message.symbol) or _in_limits(step, message.symbol) or _ordered(step, message)
    ):
        return f"nobody holds {message.symbol}, no order is for it, and no limit names it"
    if renames and any(order.symbol == message.symbol for order in step.book.open_orders()):
        return f"orders in {message.symbol} are open: cancel them first"
    return None


def _ordered(step: Step, message: TakeCorporateAction) -> bool:
    """Whether an order is open in the symbol, or was taken for another's."""
    return any(
        order.symbol == message.symbol and (order.open or order.refusal == ID_CONFLICT)
        for order in step.book.orders.values()
    )


def _in_limits(step: Step, symbol: str) -> bool:
    limits = step.state.limits
    return limits is not None and f"'{symbol}'" in repr(limits.as_dict())


def _split(step: Step, entry_id: str, message: TakeCorporateAction, name: str) -> None:
    """More shares, or fewer, at the same cost; a fraction beyond nine places is cut off."""
    held = step.book.position(message.symbol, name)
    after = quotient_down(times(held, Decimal(message.new)), Decimal(message.old))
    _book(step, entry_id, message, name, message.symbol, minus(after, held), None)


def _rename(step: Step, entry_id: str, message: TakeCorporateAction, name: str) -> None:
    """Out under the old name and in under the new one, at the price that was paid."""
    held = step.book.ledger.holdings(name)[message.symbol]
    quantity, price = held.quantity, held.average_price
    _book(step, entry_id, message, name, message.symbol, -quantity, price)
    _book(step, entry_id, message, name, message.new_symbol, quantity, price)


def _book(
    step: Step,
    entry_id: str,
    message: TakeCorporateAction,
    name: str,
    symbol: str,
    quantity: Decimal,
    price: Decimal | None,
) -> None:
    step.record(
        Booked(
            algorithm=name,
            kind="corporate_action",
            symbol=symbol,
            quantity=quantity,
            price=price,
            cash=ZERO if price is None else -times(quantity, price),
            reference=entry_id,
            reason=message.reason,
            by=message.by,
            at_ns=step.now_ns,
        )
    )


def _change_limits(step: Step, entry_id: str, message: TakeCorporateAction) -> None:
    """Count the symbol's limits in new shares, and under its new name."""
    force = step.state.limits_in_force
    if force.limits is None:
        return
    after = dict(_renamed(force.limits.as_dict(), message))
    symbols: dict[str, Any] = dict(after["symbol"])
    if message.new_symbol == message.symbol and message.symbol in symbols:
        symbols[message.symbol] = _scaled(symbols[message.symbol], message)
    after["symbol"] = symbols
    if changes := limit_commands.differences(force, flat(after)):
        source = f"corporate action in {message.symbol}"
        step.record(
            limit_commands.limits_set(
                step, entry_id, changes, source=source, reason=message.reason, by=message.by
            )
        )


def _scaled(section: dict[str, Any], message: TakeCorporateAction) -> dict[str, Any]:
    def scaled(name: str, value: Any) -> Any:
        if name not in _IN_SHARES:
            return value
        number = quotient_down(times(Decimal(value), Decimal(message.new)), Decimal(message.old))
        return text(number) if is_amount(number) else value

    return {name: scaled(name, value) for name, value in section.items()}


def _renamed(shown: dict[str, Any], message: TakeCorporateAction) -> dict[str, Any]:
    """The limits with the old name replaced wherever a symbol may stand."""
    old, new = message.symbol, message.new_symbol

    def section(found: dict[str, Any]) -> dict[str, Any]:
        lists = {name: found[name] for name in ("restricted", "symbols") if old in found.get(name, ())}
        return found | {
            name: sorted({new if symbol == old else symbol for symbol in symbols})
            for name, symbols in lists.items()
        }

    by_kind: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "account": section,
        "each_algorithm": section,
        "algorithm": lambda found: {name: section(one) for name, one in found.items()},
        "symbol": lambda found: {new if name == old else name: one for name, one in found.items()},
    }
    return {name: by_kind[name](found) if name in by_kind else found for name, found in shown.items()}
