"""Compares the OMS's book, each portfolio and the broker's ledger, and names what differs. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal

import msgspec

from algos.portfolio import Portfolio
from oms.amounts import ZERO, text
from oms.book.book import Book
from oms.book.orders import TERMINAL, Order

# The states in which we have heard nothing of an order since the broker took it.
_OPEN_WORDS = ("approved", "uncertain", "sent")


class LedgerOrder(msgspec.Struct, frozen=True):
    """One order as the broker has it; its times are Alpaca's."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    status: str
    filled_qty: Decimal
    created_at: str = ""
    canceled_at: str | None = None


class LedgerFill(msgspec.Struct, frozen=True):
    """One execution as the broker has it; `fee` is in coins of a purchase and in dollars of a sale."""

    order_id: str
    symbol: str
    side: str
    qty: Decimal
    price: Decimal
    fee: Decimal = ZERO


class LedgerMovement(msgspec.Struct, frozen=True):
    """What came to a position otherwise than by an execution, or went: shares transferred, a split."""

    symbol: str
    qty: Decimal


class Ledger(msgspec.Struct, frozen=True):
    """The broker's orders and executions, oldest first, and what else changed its positions."""

    orders: tuple[LedgerOrder, ...]
    fills: tuple[LedgerFill, ...]
    movements: tuple[LedgerMovement, ...] = ()


def read_ledger(raw: bytes) -> Ledger:
    """Decode the ledger from JSON. Raises msgspec.DecodeError for another shape."""
    # Decimals may come as numbers or as text; both are exact here.
    return msgspec.json.decode(raw, type=Ledger, strict=False)


def differences(
    book: Book,
    portfolios: Mapping[str, Portfolio],
    ledger: Ledger | None,
    unanswered: Collection[str] = (),
) -> list[str]:
    """Return what does not agree, each a sentence; nothing where all three agree.

    Without a ledger the book and the algorithms are compared alone. `unanswered` holds the client ids of
    requests that the OMS neither approved nor refused.
    """
    return [
        *(f"request {client_id} was never answered by the OMS" for client_id in sorted(unanswered)),
        *(() if ledger is None else _orders(book, ledger)),
        *(() if ledger is None else _positions(book, ledger)),
        *_views(book, portfolios),
    ]


def _orders(book: Book, ledger: Ledger) -> Iterator[str]:
    """Compare every order: known to both sides, in the same state, filled alike."""
    filled: dict[str, Decimal] = defaultdict(Decimal)
    paid: dict[str, Decimal] = defaultdict(Decimal)
    for fill in ledger.fills:
        filled[fill.order_id] += fill.qty
        paid[fill.order_id] += fill.qty * fill.price
    seen = set()
    for theirs in ledger.orders:
        ours = book.by_broker_id.get(theirs.id) or book.orders.get(theirs.client_order_id)
        name = f"order {theirs.client_order_id} ({theirs.side} {theirs.symbol})"
        if ours is None:
            yield f"{name}: the broker has it as {theirs.status}, the book does not know it"
            continue
        seen.add(ours.client_order_id)
        if not _same_state(ours, theirs):
            yield f"{name}: {theirs.status} at the broker, {ours.status} in the book"
        if ours.filled != filled[theirs.id]:
            yield f"{name}: the broker filled {text(filled[theirs.id])}, the book {text(ours.filled)}"
        # An execution that was read off the order has the order's average price, rounded.
        elif ours.paid != paid[theirs.id] and not ours.assumed_up_to:
            yield f"{name}: worth {text(paid[theirs.id])} at the broker, {text(ours.paid)} in the book"
    for ours in book.orders.values():
        if ours.client_order_id not in seen and (ours.broker_order_id or ours.open):
            yield f"order {ours.client_order_id}: {ours.status} in the book, unknown to the broker"


def _same_state(ours: Order, theirs: LedgerOrder) -> bool:
    if theirs.status in TERMINAL or ours.status in TERMINAL:
        return ours.status == theirs.status
    # Of an open order the broker may know a later state than it has told us.
    return ours.status not in _OPEN_WORDS or theirs.filled_qty == ZERO


def _positions(book: Book, ledger: Ledger) -> Iterator[str]:
    """Compare the net position of every symbol."""
    held: dict[str, Decimal] = defaultdict(Decimal)
    for fill in ledger.fills:
        held[fill.symbol] += fill.qty - fill.fee if fill.side == "buy" else -fill.qty
    for movement in ledger.movements:
        held[movement.symbol] += movement.qty
    booked = {symbol for symbols in book.positions().values() for symbol in symbols}
    for symbol in sorted(booked | held.keys()):
        if held[symbol] != book.position(symbol):
            ours = text(book.position(symbol))
            yield f"position in {symbol}: {text(held[symbol])} at the broker, {ours} in the book"


def _views(book: Book, portfolios: Mapping[str, Portfolio]) -> Iterator[str]:
    """Compare positions and open orders of each algorithm with its own portfolio."""
    booked = book.positions()
    open_ids: dict[str, set[str]] = defaultdict(set)
    for order in book.open_orders():
        open_ids[order.algorithm].add(order.client_order_id)
    for name, portfolio in portfolios.items():
        theirs, ours = portfolio.quantities, booked.get(name, {})
        for symbol in sorted(theirs.keys() | ours.keys()):
            mine, booked_quantity = theirs.get(symbol, ZERO), ours.get(symbol, ZERO)
            if mine != booked_quantity:
                yield (
                    f"position of {name} in {symbol}: {text(mine)} as it sees it, "
                    f"{text(booked_quantity)} in the book"
                )
        seen = {order.client_order_id for order in portfolio.open_orders}
        for client_id in sorted(seen ^ open_ids[name]):
            where = f"{name} itself" if client_id in seen else "the book"
            yield f"order {client_id} of {name} is open for {where} alone"
