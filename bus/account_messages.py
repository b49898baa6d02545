"""What happens to an account and its journal, beside its orders: events in the past tense, all frozen.

Times are nanoseconds since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import ClassVar, Literal

from bus.codec import Message
from bus.control_messages import Halt, ReduceOnly

Trading = Literal["paper", "live"]


class AccountPinned(Message, frozen=True, kw_only=True):
    """The journal belongs to this account of Alpaca's alone, and keys of no other may continue it."""

    wire: ClassVar[str] = "AccountPinned"
    number: str
    trading: Trading
    at_ns: int


class JournalSetAside(Message, frozen=True, kw_only=True):
    """The last entry of a journal that was set aside: the account's next start begins a new one."""

    wire: ClassVar[str] = "JournalSetAside"
    kept_as: str
    reason: str
    by: str
    at_ns: int


class PositionDiffers(Message, frozen=True, kw_only=True):
    """The account's position at the broker is not the book's, and has not been for two looks at both."""

    wire: ClassVar[str] = "PositionDiffers"
    symbol: str
    booked: Decimal
    at_broker: Decimal
    at_ns: int


class PositionNotUnderstood(Message, frozen=True, kw_only=True):
    """The broker has a position that cannot be read: what it is of this symbol is not known."""

    wire: ClassVar[str] = "PositionNotUnderstood"
    symbol: str
    error: str
    at_ns: int


class PositionAgrees(Message, frozen=True, kw_only=True):
    """A position that differed is the same at the broker and in the book again."""

    wire: ClassVar[str] = "PositionAgrees"
    symbol: str
    at_ns: int


class HaltsRead(Message, frozen=True, kw_only=True):
    """The OMS read another halt state than before; the halt key itself is the truth.

    `known` is False where the key is missing or holds what cannot be read.
    """

    wire: ClassVar[str] = "HaltsRead"
    known: bool
    scopes: dict[str, Halt | ReduceOnly]
    at_ns: int


class OrdersCanceled(Message, frozen=True, kw_only=True):
    """An operator had the open orders of a scope canceled: `orders`, by client id, of those that were open.

    What became of each is in what follows. `entry_id` is the id of the entry in control.
    """

    wire: ClassVar[str] = "OrdersCanceled"
    entry_id: str
    scope: str
    reason: str
    by: str
    orders: tuple[str, ...]
    at_ns: int


PositionEvent = PositionDiffers | PositionNotUnderstood | PositionAgrees
POSITION_EVENTS: tuple[type[Message], ...] = (PositionDiffers, PositionNotUnderstood, PositionAgrees)
