"""What happens to an account and its journal, beside its orders: events in the past tense, all frozen.

Times are nanoseconds since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import Any, ClassVar, Literal

import msgspec

from bus.codec import Message
from bus.control_messages import Halt, ReduceOnly

Trading = Literal["paper", "live"]

# Why something was booked: a fee that was another than assumed, an activity of the account at the broker, an
# assignment from one algorithm to another, a difference that somebody accepted, a corporate action.
BookedKind = Literal["fee", "activity", "assigned", "accepted", "corporate_action", "netted"]


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


class PositionAgrees(Message, frozen=True, kw_only=True):
    """A position that differed is the same at the broker and in the book again."""

    wire: ClassVar[str] = "PositionAgrees"
    symbol: str
    at_ns: int


class Booked(Message, frozen=True, kw_only=True):
    """Something other than an execution changed what an algorithm, or `external`, has.

    `quantity` of `symbol` came (or went, where negative), at `price` each; None leaves what was paid as it
    is, as a split does. `cash` came or went beside it; `symbol` is "" where it was cash alone. `netted`
    is what a flatten set off against holders of the other sign: of all of them it sums up to nothing.
    `reference` is the id of the broker's activity, or of the entry in control, that it follows from.
    """

    wire: ClassVar[str] = "Booked"
    algorithm: str
    kind: BookedKind
    symbol: str
    quantity: Decimal
    price: Decimal | None
    cash: Decimal
    reference: str
    reason: str
    by: str
    at_ns: int


class CashOpened(Message, frozen=True, kw_only=True):
    """What the account had in cash when the book began to count it.

    `activities` are the ids of those that the broker listed by then: they are in it.
    """

    wire: ClassVar[str] = "CashOpened"
    cash: Decimal
    activities: tuple[str, ...]
    at_ns: int


class ActivityHeard(Message, frozen=True, kw_only=True):
    """The broker listed an activity that changes nothing here: it is booked with its executions already."""

    wire: ClassVar[str] = "ActivityHeard"
    activity_id: str
    type: str
    symbol: str
    description: str
    at_ns: int


class CashDiffers(Message, frozen=True, kw_only=True):
    """The account's cash at the broker is not the book's, and has not been for two looks at both."""

    wire: ClassVar[str] = "CashDiffers"
    booked: Decimal
    at_broker: Decimal
    at_ns: int


class CashAgrees(Message, frozen=True, kw_only=True):
    """The cash, which differed, is the same at the broker and in the book again."""

    wire: ClassVar[str] = "CashAgrees"
    at_ns: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What the book and the broker have of something: a symbol, or `cash`."""

    what: str
    booked: Decimal
    at_broker: Decimal


class Reconciled(Message, frozen=True, kw_only=True):
    """The broker was asked at an operator's word, which is the entry `entry_id` in control.

    `differences` are those that are left, `accepted` those that were booked as they are at the broker.
    """

    wire: ClassVar[str] = "Reconciled"
    entry_id: str
    agrees: bool
    accepted: tuple[Difference, ...]
    differences: tuple[Difference, ...]
    reason: str
    by: str
    at_ns: int


class CorporateActionTaken(Message, frozen=True, kw_only=True):
    """A split, `new` for `old` shares, or another name of a symbol; what it changed for whom follows.

    `entry_id` is the id of the entry in control.
    """

    wire: ClassVar[str] = "CorporateActionTaken"
    entry_id: str
    symbol: str
    new_symbol: str
    new: int
    old: int
    holders: tuple[str, ...]
    reason: str
    by: str
    at_ns: int


class Declined(Message, frozen=True, kw_only=True):
    """What an operator asked for was not done, and why. `entry_id` is the id of the entry in control."""

    wire: ClassVar[str] = "Declined"
    entry_id: str
    why: str
    by: str
    at_ns: int


class LimitsChanged(Message, frozen=True, kw_only=True):
    """Other limits hold from here on: `limits` in the shape of the file, `limits_version` counted up from 1.

    `source` is where they were read and `by` is who put them into force.
    """

    wire: ClassVar[str] = "LimitsChanged"
    limits_version: int
    limits: dict[str, Any]
    source: str
    by: str
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
