"""A digest of the OMS's durable state: two processes that hold the same state show the same digest. Pure."""

from hashlib import blake2b

import msgspec

from oms.book.orders import Order
from oms.state.state import State

# JSON, for a number may have any size there: what somebody wrote into the journal must not end the OMS.
_encode = msgspec.json.Encoder().encode

_SIZE_BYTES = 16
_MODULUS = 1 << (8 * _SIZE_BYTES)


class Digest:
    """Follows one state; what did not change since the last call costs nothing.

    Mutable: the orders' hashes and their sum, and the state's note of which orders changed.
    The orders' hashes are added up, which gives the same sum in whatever order they changed.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._sum = 0
        self._hashes: dict[str, int] = {}

    def now(self) -> str:
        """The digest of the state as it is, 32 hexadecimal digits."""
        self.take_note(len(self._state.book.changed))
        return _hashed((self._sum, self._state.book.comparable(), self._state.comparable())).hex()

    def take_note(self, most: int) -> bool:
        """Hash so many changed orders at the most; returns whether none is left, and `now` costs little."""
        book = self._state.book
        for _ in range(min(most, len(book.changed))):
            order_id = book.changed.pop()
            order = book.orders.get(order_id)
            if order is None:
                self._sum = (self._sum - self._hashes.pop(order_id, 0)) % _MODULUS
            else:
                hashed = int.from_bytes(_hashed(_told(order)))
                self._sum = (self._sum - self._hashes.get(order_id, 0) + hashed) % _MODULUS
                self._hashes[order_id] = hashed
        return not book.changed


def digest_of(state: State) -> str:
    """The digest of a state that others may follow: what they have noted stays so."""
    book = state.book
    followed, book.changed = book.changed, set(book.orders)
    found = Digest(state).now()
    book.changed = followed
    return found


def _told(order: Order) -> tuple[object, ...]:
    """All that is known of an order; sets in an order of their own."""
    return (
        order.algorithm,
        order.client_order_id,
        order.symbol,
        order.side,
        order.terms,
        order.working,
        order.told,
        order.most,
        order.reserve_price,
        order.approved_ns,
        order.replaces,
        order.replaced_by,
        order.status,
        order.broker_order_id,
        order.refusal,
        order.filled,
        order.paid,
        order.reported,
        sorted(order.executions),
        order.assumed,
        order.assumed_up_to,
        order.replace_rejected_ns,
        order.role,
        order.parent,
        order.settled,
    )


def _hashed(told: object) -> bytes:
    return blake2b(_encode(told), digest_size=_SIZE_BYTES).digest()
