"""What the account stream holds, trade updates above all, taken in its order. Pure."""

from collections.abc import Mapping

from bus.delivery import Delivery
from bus.errors import Unreadable
from oms import rules
from oms.broker.trade_updates import made_elsewhere, translate
from oms.reconciliation import reconciliation
from oms.requests import excess, sent_orders
from oms.state.inputs import BrokerMessagesRead
from oms.state.step import Step

# Times from here on, of the year 2262, are no times: they need more than 63 bits.
_NO_TIME_NS = 1 << 63


def take_messages(step: Step, read: BrokerMessagesRead) -> None:
    """Take entries of the account stream in their order."""
    for message in read.messages:
        kind = message.delivery.fields.get(b"type", b"")
        if kind == b"Connected":
            reconciliation.reconnected(step, message)
        elif kind == b"Disconnected":
            step.effects.acknowledge.append(message.delivery)
        else:
            _take_message(step, message.delivery, kind)
    if step.observed.unreadable:
        rules.acknowledge_unreadable(step)


def take_what_may_be_legs(step: Step) -> None:
    """Take updates anew that waited for the exits of an order of ours to be known; some may wait on."""
    waiting, step.observed.may_be_legs = step.observed.may_be_legs, []
    for message in waiting:
        _take_message(step, message, b"TradeUpdate")


def _take_message(step: Step, message: Delivery, kind: bytes) -> None:
    try:
        if kind != b"TradeUpdate":
            raise Unreadable(f"an entry of type {kind.decode(errors='replace')[:64]!r}")
        received_ns = _received_ns(message.fields) or step.now_ns
        translation = translate(message.fields.get(b"data", b""), step.book, received_ns)
    except Unreadable as error:
        other = made_elsewhere(message.fields.get(b"data", b""), step.book, error)
        if other is None:
            _keep(step, message, error)
        else:
            step.keep(message, error)
            step.effects.acknowledge.append(message)
            if other.id:
                reconciliation.not_understood(step, other)
        return
    if translation.may_be_leg:
        step.observed.may_be_legs.append(message)
        return
    step.effects.acknowledge.append(message)
    step.record(*translation.events)
    order = translation.order
    if order is None:
        return
    if translation.look_up is not None and translation.look_up.broker_order_id:
        step.look_up(translation.look_up.client_order_id)
    elif not order.open and order.outstanding():
        step.observed.partly_told.add(order.client_order_id)
    if translation.given_up is not None:
        sent_orders.cancel_given_up(step, order, translation.given_up)
    if step.book.is_in_chain(order):
        excess.cancel_excess(step, order)


def _received_ns(fields: Mapping[bytes, bytes]) -> int:
    try:
        received_ns = int(fields.get(b"r", b"0"))
    except ValueError as error:
        raise Unreadable("its receive time r is not a number") from error
    if not 0 <= received_ns < _NO_TIME_NS:
        raise Unreadable("its receive time r is not a time")
    return received_ns


def _keep(step: Step, message: Delivery, error: Unreadable) -> None:
    """What cannot be read may be a fill: stop ordering on the account, and ask the broker.

    The entry is acknowledged once the account is halted.
    """
    step.keep(message, error)
    step.halt_account("unreadable", f"{message.stream} {message.id} cannot be read: {error}")
    step.observed.unreadable.append(message)
    step.observed.behind = True
