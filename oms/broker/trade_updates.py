"""Alpaca's trade updates to events of ours. Pure.

Unknown words of Alpaca's are taken as they come.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from bus.codec import Message
from bus.errors import Unreadable
from bus.order_events import CancelRefused, FillAbsorbed, OrderFilled, OrderUpdated
from bus.order_messages import Reason
from bus.rfc3339 import time_ns
from bus.streams import EXTERNAL
from oms.amounts import ZERO, is_amount
from oms.book.book import Book
from oms.book.fees import fee_of
from oms.book.orders import REFUSED, TERMINAL, Order, advances, countable, differs, is_another
from oms.broker.alpaca_orders import AlpacaOrder, broker_order, check_numbers, is_countable, side_of
from oms.broker.broker_orders import adopted, owner
from oms.broker.protocol import UnreadableOrder

_FILLS = ("fill", "partial_fill")

# Events that mean something although the order's state stays as it was.
_TELLING = ("order_cancel_rejected", "order_replace_rejected", "restated")

# Events with which the broker takes back, or changes, an execution that it told before.
_REVISIONS = ("trade_bust", "trade_correct")

# Events after which nothing more is filled, and the status that each leaves behind.
_ENDS = {
    "fill": "filled",
    "canceled": "canceled",
    "expired": "expired",
    "rejected": "rejected",
    "replaced": "replaced",
}

# Alpaca's words for an order that is still open (its documented list).
_OPEN_WORDS = frozenset(
    {
        "new", "partially_filled", "done_for_day", "pending_cancel", "pending_replace", "pending_review",
        "accepted", "pending_new", "accepted_for_bidding", "stopped", "suspended", "calculated", "held",
    }
)  # fmt: skip


class _Update(msgspec.Struct, frozen=True):
    event: str
    order: AlpacaOrder
    execution_id: str | None = None
    timestamp: str | None = None
    price: Decimal | None = None
    qty: Decimal | None = None


class _Ids(msgspec.Struct, frozen=True):
    id: str
    client_order_id: str
    replaces: str | None = None


class _OrderOfUpdate(msgspec.Struct, frozen=True):
    order: _Ids


class _Frame(msgspec.Struct, frozen=True):
    stream: str
    data: msgspec.Raw = msgspec.Raw(b"{}")


_read_frame = msgspec.json.Decoder(_Frame, strict=False).decode
_read_update = msgspec.json.Decoder(_Update, strict=False).decode
_read_ids = msgspec.json.Decoder(_OrderOfUpdate, strict=False).decode


@dataclass(slots=True)
class Translation:
    """What one frame means: the events that it comes to, and the order concerned, where the book knew it.

    `given_up` is the broker's id of an order that was given up as never sent and is at the broker after all:
    it must be canceled. `look_up` is an order that it may have ended, and of which the broker is to be asked.
    `may_be_leg`: nobody knows the order yet, and it may be an exit of one of ours.
    """

    events: list[Message] = field(default_factory=list)
    order: Order | None = None
    given_up: str | None = None
    look_up: Order | None = None
    may_be_leg: bool = False


def made_elsewhere(frame: bytes, book: Book, error: Unreadable) -> UnreadableOrder | None:
    """What an unreadable frame is about where that is plainly no order of ours; None where it may be one.

    A frame of a stream that nobody asked for is about nothing of ours either: it names no order.
    """
    try:
        envelope = _read_frame(frame)
        if envelope.stream != "trade_updates":
            return UnreadableOrder("", "", str(error))
        ids = _read_ids(envelope.data).order
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    known = book.order(ids.client_order_id) or book.by_broker_id.get(ids.id)
    algorithm = owner(ids.client_order_id, ids.replaces, book) if known is None else known.algorithm
    if algorithm != EXTERNAL or known is not None or not ids.id:
        return None
    return UnreadableOrder(ids.id, ids.client_order_id, str(error))


def translate(frame: bytes, book: Book, received_ns: int) -> Translation:
    """What a frame of the trade updates stream means to this book.

    Raises Unreadable where it is not a trade update that can be understood, and where it revises an
    execution: then the book may be wrong.
    """
    try:
        envelope = _read_frame(frame)
        if envelope.stream in ("authorization", "listening"):
            return Translation()
        if envelope.stream != "trade_updates":
            raise Unreadable(f"a frame of stream {envelope.stream[:64]!r}; known here: trade_updates")
        update = _with_known_status(_read_update(envelope.data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"a trade update: {error}") from error
    order = update.order
    check_numbers(order)
    if update.event in _REVISIONS:
        raise Unreadable(
            f"a {update.event} of order {order.id}: the broker revised an execution that is booked as it was "
            "first told; compare the position with the broker's"
        )
    at_ns = received_ns if update.timestamp is None else time_ns(update.timestamp)
    known = book.order(order.client_order_id)
    if known is not None and is_another(known, order.id):
        raise Unreadable(
            f"order {order.id} has a client id of ours, {order.client_order_id}, and is not ours"
        )
    translation = Translation(order=known)
    if known is None and _may_be_leg(order, book):
        translation.may_be_leg = True
        return translation
    if known is None:
        translation.events += adopted(broker_order(order), book, at_ns)
        if not translation.events:
            return translation
    algorithm = known.algorithm if known is not None else owner(order.client_order_id, order.replaces, book)
    if update.event in _FILLS:
        # Alpaca was seen to replace a stop-loss by another as it is triggered (alpaca-backtrader-api#80).
        place = known or (None if order.replaces is None else book.by_broker_id.get(order.replaces))
        _fill(translation, update, known, place, algorithm, at_ns)
    else:
        replacement = None if known is None else book.replacement(known)
        if known is not None and update.event == "order_replace_rejected" and book.was_replaced_before(known):
            # It does not say which one was rejected, and may be late: the broker is asked about the last.
            translation.look_up, replacement = replacement, None
        _change(translation, update, known, replacement, algorithm, at_ns)
    if known is not None and known.status == REFUSED and order.status not in TERMINAL:
        translation.given_up = order.id
    return translation


def _may_be_leg(order: AlpacaOrder, book: Book) -> bool:
    """Whether this may be an exit, as yet unknown, of an order of ours."""
    if not order.order_class or owner(order.client_order_id, order.replaces, book) != EXTERNAL:
        return False
    return any(
        parent.symbol == order.symbol
        and parent.terms is not None
        and parent.terms.order_class == order.order_class
        for parent in book.open_groups.awaiting_legs()
    )


def _with_known_status(update: _Update) -> _Update:
    """An end that is told in a status nobody knows is the end that its event names."""
    ended = _ENDS.get(update.event)
    if ended is None or update.order.status in TERMINAL or update.order.status in _OPEN_WORDS:
        return update
    return replace(update, order=replace(update.order, status=ended))


def _fill(
    translation: Translation,
    update: _Update,
    known: Order | None,
    place: Order | None,
    algorithm: str,
    at_ns: int,
) -> None:
    order, quantity, price = update.order, update.qty, update.price
    sound = quantity is not None and price is not None and is_amount(quantity) and is_countable(price)
    if quantity is None or price is None or not sound or quantity <= 0:
        raise Unreadable(f"a {update.event} of order {order.id} with quantity {quantity} and price {price}")
    cumulative = order.filled_qty or ZERO
    execution_id = update.execution_id or f"{order.id}:{cumulative.normalize():f}"
    news = quantity if known is None else countable(known, execution_id, quantity, cumulative)
    if news > 0:
        translation.events.append(
            OrderFilled(
                algorithm=algorithm,
                client_order_id=order.client_order_id,
                broker_order_id=order.id,
                execution_id=execution_id,
                symbol=order.symbol,
                side=side_of(order.side),
                quantity=news,
                price=price,
                filled_quantity=cumulative,
                status=order.status,
                at_ns=at_ns,
                fee=fee_of(order.symbol, side_of(order.side), news, price),
                role="" if place is None else place.role,
                parent=None if place is None else place.parent,
            )
        )
    if known is not None and (
        differs(known, order.qty, order.limit_price, order.stop_price)
        or (news <= 0 and advances(known, order.status))
    ):
        translation.events.append(_updated(update, algorithm, at_ns))
    if known is not None and news != quantity and execution_id not in known.executions:
        translation.events.append(
            FillAbsorbed(
                algorithm=algorithm,
                client_order_id=order.client_order_id,
                execution_id=execution_id,
                quantity=quantity,
                filled_quantity=cumulative,
                at_ns=at_ns,
            )
        )


def _change(
    translation: Translation,
    update: _Update,
    known: Order | None,
    replacement: Order | None,
    algorithm: str,
    at_ns: int,
) -> None:
    order = update.order
    news = (
        known is None
        or not known.broker_order_id
        or advances(known, order.status)
        or update.event in _TELLING
        or (order.filled_qty or ZERO) > known.reported
        or differs(known, order.qty, order.limit_price, order.stop_price)
    )
    if news:
        translation.events.append(_updated(update, algorithm, at_ns))
    is_rejected = update.event == "order_replace_rejected" and known is not None and known.open
    # One that is told a second time is not about a later replacement.
    is_news = known is not None and at_ns > known.replace_rejected_ns
    if is_rejected and is_news and replacement is not None and replacement.open:
        translation.events.append(_never_came(replacement, at_ns))
    if update.event == "order_cancel_rejected":
        translation.events.append(
            CancelRefused(
                algorithm=algorithm,
                client_order_id=order.client_order_id,
                reason=Reason(code="broker", message="the broker rejected the cancel", value=order.status),
                at_ns=at_ns,
            )
        )


def _updated(update: _Update, algorithm: str, at_ns: int) -> OrderUpdated:
    order = update.order
    return OrderUpdated(
        algorithm=algorithm,
        client_order_id=order.client_order_id,
        broker_order_id=order.id,
        symbol=order.symbol,
        event=update.event,
        status=order.status,
        filled_quantity=order.filled_qty or ZERO,
        at_ns=at_ns,
        replaced_by=order.replaced_by,
        quantity=order.qty,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
    )


def _never_came(replacement: Order, at_ns: int) -> OrderUpdated:
    """The end of a replacement that was taken and then rejected: its order works on."""
    return OrderUpdated(
        algorithm=replacement.algorithm,
        client_order_id=replacement.client_order_id,
        broker_order_id=replacement.broker_order_id,
        symbol=replacement.symbol,
        event="order_replace_rejected",
        status="rejected",
        filled_quantity=replacement.reported,
        at_ns=at_ns,
    )
