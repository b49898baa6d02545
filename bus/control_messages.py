"""What an operator says to everyone: halts, resumes and shutdowns, with scope, reason and who."""

from typing import ClassVar

from bus.codec import Message


class Halt(Message, frozen=True, kw_only=True, tag="Halt"):
    """New orders and replaces in this scope are refused; cancels go through.

    Scope: `all`, `account:<name>`, `algorithm:<name>` or `symbol:<symbol>`.
    """

    wire: ClassVar[str] = "Halt"
    scope: str
    reason: str
    by: str
    at_ns: int


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


class Shutdown(Message, frozen=True, kw_only=True):
    """The algorithms in this scope stop, each after its own `on_shutdown`."""

    wire: ClassVar[str] = "Shutdown"
    scope: str
    reason: str
    by: str
    at_ns: int


ControlMessage = Halt | ReduceOnly | Resume | CancelOrders | Flatten | Shutdown
CONTROL_MESSAGES: tuple[type[Message], ...] = (Halt, ReduceOnly, Resume, CancelOrders, Flatten, Shutdown)
