"""What an operator says to everyone: halts, resumes and shutdowns, with scope, reason and who."""

from decimal import Decimal
from typing import ClassVar

from bus.codec import Message
from bus.limit_messages import LIMIT_COMMANDS, LimitCommand


class Halt(Message, frozen=True, kw_only=True, omit_defaults=False, tag="Halt"):
    """New orders and replaces in this scope are refused; cancels go through.

    Scope: `all`, `account:<name>`, `algorithm:<name>` or `symbol:<symbol>`. `latched`: the OMS halted it for
    what an algorithm did, and only a person who gives a name lifts it; always written, for the script
    that changes halts looks for it.
    """

    wire: ClassVar[str] = "Halt"
    scope: str
    reason: str
    by: str
    at_ns: int
    latched: bool = False


class ReduceOnly(Message, frozen=True, kw_only=True, tag="ReduceOnly"):
    """Only orders that bring a position closer to zero are approved in this scope."""

    wire: ClassVar[str] = "ReduceOnly"
    scope: str
    reason: str
    by: str
    at_ns: int


class Resume(Message, frozen=True, kw_only=True):
    """The halt of exactly this scope is lifted; `all` lifts every one."""

    wire: ClassVar[str] = "Resume"
    scope: str
    reason: str
    by: str
    at_ns: int


class CancelOrders(Message, frozen=True, kw_only=True):
    """Every open order in this scope is canceled, once; it says nothing of orders that come afterwards."""

    wire: ClassVar[str] = "CancelOrders"
    scope: str
    reason: str
    by: str
    at_ns: int


class Flatten(Message, frozen=True, kw_only=True):
    """Every open order in this scope is canceled, then every position in it brought to zero at the market.

    New orders are refused there until that has ended.
    """

    wire: ClassVar[str] = "Flatten"
    scope: str
    reason: str
    by: str
    at_ns: int


class Reconcile(Message, frozen=True, kw_only=True):
    """The OMS of this account compares its book with the broker now.

    Differences in what `accept` names, symbols or `cash`, are booked as they are at the broker; with
    `accept_all` every one.
    """

    wire: ClassVar[str] = "Reconcile"
    account: str
    accept: tuple[str, ...]
    accept_all: bool
    reason: str
    by: str
    at_ns: int


class AssignPosition(Message, frozen=True, kw_only=True):
    """What `giver` holds of a symbol is `taker`'s from now on, at its average price.

    Both are names of algorithms, or `external`. `quantity` is above zero; of a short position, so much of it.
    """

    wire: ClassVar[str] = "AssignPosition"
    account: str
    symbol: str
    quantity: Decimal
    giver: str
    taker: str
    reason: str
    by: str
    at_ns: int


class TakeCorporateAction(Message, frozen=True, kw_only=True):
    """A split, `new` for `old` shares, or another name.

    `new_symbol` is the same as `symbol` where only the count of shares changes.
    """

    wire: ClassVar[str] = "TakeCorporateAction"
    account: str
    symbol: str
    new_symbol: str
    new: int
    old: int
    reason: str
    by: str
    at_ns: int


class Shutdown(Message, frozen=True, kw_only=True):
    """The algorithms in this scope stop, each after its own `on_shutdown`."""

    wire: ClassVar[str] = "Shutdown"
    scope: str
    reason: str
    by: str
    at_ns: int


ControlMessage = Halt | ReduceOnly | Resume | CancelOrders | Flatten | Shutdown
# What an operator asks of one account's OMS alone, which answers in its journal.
AccountCommand = Reconcile | AssignPosition | TakeCorporateAction | LimitCommand
CONTROL_MESSAGES: tuple[type[Message], ...] = (
    Halt,
    ReduceOnly,
    Resume,
    CancelOrders,
    Flatten,
    Shutdown,
    Reconcile,
    AssignPosition,
    TakeCorporateAction,
    *LIMIT_COMMANDS,
)
