"""A long journal as an OMS would have written it: days of orders, each approved, sent, taken and filled."""

from collections.abc import Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from bus.account_messages import AccountPinned
from bus.chain import HASH, NO_HASH, Entry, message_hash
from bus.codec import Message
from bus.journal_messages import OrdersPutAway
from bus.order_events import Basis, OrderApproved, OrderFilled, OrderSent, OrderUpdated, Registered
from bus.order_messages import OrderTerms, Side
from bus.trading_day import trading_day
from oms.journal.journal_reader import EVENT_CODEC

_FIRST_NS = 1_704_117_600_000_000_000  # 2024-01-01 14:00 UTC
_DAY_NS = 86_400 * 1_000_000_000
_SECOND_NS = 1_000_000_000
_ORDERS_A_DAY = 1_000
_ALGORITHM = "ma-cross"
_SYMBOLS = ("AAPL", "MSFT", "NVDA", "SPY", "TSLA")


def entries(count: int) -> Iterator[Entry]:
    """So many entries, chained."""
    head = NO_HASH
    last_ms, sequence = 0, 0
    for _, (at_ns, event) in zip(range(count), _events(), strict=False):
        ms = at_ns // 1_000_000
        sequence = sequence + 1 if ms == last_ms else 0
        last_ms = ms
        id_ = f"{ms}-{sequence}".encode()
        kind, version, data = EVENT_CODEC.encode(event)
        head = message_hash(head, id_, kind, version, data)
        yield id_, [b"type", kind, b"version", version, b"data", data, HASH, head]


def _events() -> Iterator[tuple[int, Message]]:
    yield _FIRST_NS, AccountPinned(number="PA3JKX1P5QWE", trading="paper", at_ns=_FIRST_NS)
    yield _FIRST_NS, Registered(algorithm=_ALGORITHM, at_ns=_FIRST_NS)
    number = 0
    while True:
        day, of_day = divmod(number, _ORDERS_A_DAY)
        at_ns = _FIRST_NS + day * _DAY_NS + of_day * 20 * _SECOND_NS
        if day and not of_day:
            yield at_ns, OrdersPutAway(day=trading_day(at_ns).isoformat(), kept=(), at_ns=at_ns)
        for event in _order(number, at_ns):
            yield at_ns, event
        number += 1


def _order(number: int, at_ns: int) -> Iterator[Message]:
    digest = blake2b(number.to_bytes(8), digest_size=16).hexdigest()
    order_id, broker_id = f"bb-{_ALGORITHM}-{digest}", f"61e69015-8549-4bfd-b9c3-{number:012x}"
    symbol = _SYMBOLS[number % len(_SYMBOLS)]
    side: Side = "buy" if number // len(_SYMBOLS) % 2 == 0 else "sell"
    quantity, limit, price = Decimal(10), Decimal("187.55"), Decimal("187.5")
    yield OrderApproved(
        algorithm=_ALGORITHM,
        client_order_id=order_id,
        terms=OrderTerms(symbol=symbol, side=side, type="limit", quantity=quantity, limit_price=limit),
        reserve_price=limit,
        trigger=f"{at_ns // 1_000_000}-0",
        received_ns=at_ns,
        requested_ns=at_ns,
        approved_ns=at_ns,
        basis=Basis(
            price=price,
            price_at_ns=at_ns,
            price_received_ns=at_ns,
            limits_version=1,
            halt="active",
            control_fresh=True,
            not_ready="",
            lease="3:algo-ma-cross:5f0c9a11",
            reserve_price=limit,
            price_feed="iex",
        ),
    )
    about: Any = {"algorithm": _ALGORITHM, "client_order_id": order_id, "broker_order_id": broker_id}
    yield OrderSent(
        **about,
        approved_ns=at_ns,
        sent_ns=at_ns,
        acknowledged_ns=at_ns,
        quantity=quantity,
        limit_price=limit,
    )
    yield OrderUpdated(
        **about,
        symbol=symbol,
        event="new",
        status="new",
        filled_quantity=Decimal(0),
        at_ns=at_ns,
        quantity=quantity,
        limit_price=limit,
    )
    yield OrderFilled(
        **about,
        execution_id=f"7b1d2c4e-0f3a-4d5b-8c6e-{number:012x}",
        symbol=symbol,
        side=side,
        quantity=quantity,
        price=price,
        filled_quantity=quantity,
        status="filled",
        at_ns=at_ns,
    )
