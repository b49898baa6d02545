"""What changes the books otherwise than by orders, and what comparing them found: events, all frozen.

Times are nanoseconds since 1970-01-01 UTC.
"""

from decimal import Decimal
from typing import ClassVar, Literal

import msgspec

from bus.codec import Message

# Why something was booked: a fee that was another than assumed, an activity of the account at the broker, an
# assignment from one algorithm to another, a difference that somebody accepted, a corporate action.
BookedKind = Literal["fee", "activity", "assigned", "accepted", "corporate_action", "netted"]


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

    `differences` are those that are left, `accepted` those that were booked as they are at the broker,
    `unread` why the broker's `position <symbol>` cannot be read.
    """

    wire: ClassVar[str] = "Reconciled"
    entry_id: str
    agrees: bool
    accepted: tuple[Difference, ...]
    differences: tuple[Difference, ...]
    reason: str
    by: str
    unread: dict[str, str] = {}
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


BookEvent = (
    Booked
    | CashOpened
    | ActivityHeard
    | CashDiffers
    | CashAgrees
    | Reconciled
    | CorporateActionTaken
    | Declined
)
BOOK_EVENTS: tuple[type[Message], ...] = (
    Booked,
    CashOpened,
    ActivityHeard,
    CashDiffers,
    CashAgrees,
    Reconciled,
    CorporateActionTaken,
    Declined,
)
