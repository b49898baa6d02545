"""Moving shares that are held already from one algorithm to another, at an operator's word. Pure."""

from decimal import Decimal

from bus.book_messages import Booked, Declined
from bus.control_messages import AssignPosition
from bus.order_messages import Side
from bus.streams import EXTERNAL
from bus.symbols import canonical_symbol
from oms.amounts import ZERO, is_amount, minus, text, times
from oms.state.step import Step


def take(step: Step, entry_id: str, message: AssignPosition) -> None:
    """Book the shares out at the giver's average price and in at the same, or say why not."""
    why = _why_not(step, message)
    if why is not None:
        step.record(Declined(entry_id=entry_id, why=why, by=message.by, at_ns=step.now_ns))
        return
    symbol = canonical_symbol(message.symbol)
    held = step.book.ledger.holdings(message.giver)[symbol]
    price = held.average_price
    quantity = message.quantity if held.quantity > 0 else -message.quantity
    for name, moved in ((message.giver, -quantity), (message.taker, quantity)):
        step.record(
            Booked(
                algorithm=name,
                kind="assigned",
                symbol=symbol,
                quantity=moved,
                price=price,
                # No money moves; but whoever holds the shares has paid for them.
                cash=-times(moved, price),
                reference=entry_id,
                reason=message.reason,
                by=message.by,
                at_ns=step.now_ns,
            )
        )


def _why_not(step: Step, message: AssignPosition) -> str | None:
    symbol = canonical_symbol(message.symbol)
    known = step.state.registered.keys() | {EXTERNAL}
    for name in (message.giver, message.taker):
        if name not in known:
            return f"no algorithm {name} has registered; known are {', '.join(sorted(known))}"
    if message.giver == message.taker:
        return f"{message.taker} has them already"
    if not is_amount(message.quantity) or message.quantity <= 0:
        return f"the quantity is {message.quantity}: it must be above zero, with at most nine places"
    held = step.book.position(symbol, message.giver)
    if message.quantity > abs(held):
        return f"{message.giver} holds {text(held)} {symbol}"
    closing: Side = "sell" if held > 0 else "buy"
    free = minus(abs(held), step.book.pending(symbol, closing, message.giver))
    if message.quantity > free:
        asked: Decimal = max(ZERO, free)
        return (
            f"open orders of {message.giver} to {closing} {symbol} need the rest: cancel them first, "
            f"or assign {text(asked)}"
        )
    return None
