"""Orders that ended some time ago: of each as much as answers a request that comes again. Pure.

A whole order takes some two thousand bytes of memory, what stays of it here some two hundred. All else about
it is in the journal.
"""

from collections.abc import Callable, Collection
from decimal import Decimal
from hashlib import blake2b

import msgspec

from bus.order_messages import OrderTerms, Side
from oms.book.orders import Order

_TERMS_SIZE_BYTES = 8
_HASH_SIZE_BYTES = 16
_MODULUS = 1 << (8 * _HASH_SIZE_BYTES)


class _Record(msgspec.Struct, frozen=True, array_like=True):
    """What stays of an order; `terms` are a digest of those of its request, b"" where it had none."""

    algorithm: str
    symbol: str
    side: Side
    status: str
    refusal: str
    filled: Decimal
    broker_order_id: str
    replaces: str | None
    terms: bytes


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


class PutAway:
    """By client id. Mutable: grows as trading days begin; `orders` are the book's, where the others are."""

    def __init__(self, orders: dict[str, Order]) -> None:
        self._orders = orders
        self._records: dict[str, bytes] = {}
        # Those that had ended when the last trading day began: they leave when the next one does.
        self._ended: list[str] = []
        # Told apart by a hash, None where nobody asked for it yet: they are many, and are compared all day.
        self._ended_hash: str | None = ""
        # The sum of all records' hashes, which is the same in whatever order they came.
        self._sum = 0

    def __repr__(self) -> str:
        return f"<{len(self._records)} orders put away>"

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, client_order_id: str) -> bool:
        return client_order_id in self._records

    def turn(self, kept: Collection[str], is_needed: Callable[[Order], bool]) -> list[Order]:
        """Let orders go that had ended when the last day began; returns them, to be forgotten elsewhere too.

        Those in `kept` stay, those that are needed, and those of which a fill is still to be told.
        """
        gone = []
        for name in self._ended:
            order = self._orders.get(name)
            if order is None or order.open or order.outstanding() or name in kept or is_needed(order):
                continue
            self._add(order)
            del self._orders[name]
            gone.append(order)
        self._ended = [name for name, order in self._orders.items() if not order.open]
        self._ended_hash = None
        return gone

    def taken_back(self, client_order_id: str) -> Order | None:
        """An order that is to change: one that was put away is among the book's again."""
        order = self._orders.get(client_order_id)
        if order is None and (order := self.order(client_order_id)) is not None:
            self._orders[client_order_id] = order
        return order

    def order(self, client_order_id: str) -> Order | None:
        """An order as far as it is known here: ended, all that was filled of it booked; not to be changed."""
        data = self._records.get(client_order_id)
        if data is None:
            return None
        record = _decode(data)
        return Order(
            record.algorithm,
            client_order_id,
            record.symbol,
            record.side,
            status=record.status,
            refusal=record.refusal,
            broker_order_id=record.broker_order_id,
            replaces=record.replaces,
            filled=record.filled,
            reported=record.filled,
            # An execution that is told again is one of those that were booked.
            assumed=record.filled,
            assumed_up_to=record.filled,
        )

    def has_terms(self, client_order_id: str, terms: OrderTerms) -> bool:
        """Whether the order of this id was asked for in these terms."""
        data = self._records.get(client_order_id)
        return data is not None and _decode(data).terms == _digest(terms)

    def comparable(self) -> list[object]:
        """What tells two of them apart."""
        if self._ended_hash is None:
            self._ended_hash = str(_hashed("", msgspec.json.encode(sorted(self._ended))))
        return [len(self._records), str(self._sum), self._ended_hash]

    def _add(self, order: Order) -> None:
        """Keep what is needed of an order; what was kept of one that came back gives way."""
        name = order.client_order_id
        before = self._records.get(name)
        if before is not None:
            self._sum = (self._sum - _hashed(name, before)) % _MODULUS
        # The values of a _Record are written as one is; a start may write many.
        record = self._records[name] = _encode(
            (
                order.algorithm,
                order.symbol,
                order.side,
                order.status,
                order.refusal,
                max(order.filled, order.reported),
                order.broker_order_id,
                order.replaces,
                b"" if order.terms is None else _digest(order.terms),
            )
        )
        self._sum = (self._sum + _hashed(name, record)) % _MODULUS


def _digest(terms: OrderTerms) -> bytes:
    return blake2b(_encode(terms), digest_size=_TERMS_SIZE_BYTES).digest()


def _hashed(name: str, record: bytes) -> int:
    return int.from_bytes(blake2b(name.encode() + b"\0" + record, digest_size=_HASH_SIZE_BYTES).digest())
