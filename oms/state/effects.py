"""What follows from an input: events to journal, and what is carried out once they are durable. Pure."""

from dataclasses import dataclass
from typing import Literal

import msgspec

from bus.codec import Message
from bus.control_messages import Halt, Resume
from bus.delivery import Delivery
from oms.risk.approval import Approved
from oms.state.inputs import Question


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Ask the broker to cancel the order that it knows by this id; `urgent`: with the kill switch."""

    client_order_id: str
    broker_order_id: str
    algorithm: str = ""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something for the log, with the names and values that it is about."""

    level: Literal["warning", "error"]
    text: str
    about: dict[str, str]


class Effects(msgspec.Struct):
    """What one step came to. `events` and `acknowledge` are made durable together, then the rest carried out.

    `events` are applied to the engine's state already. `acknowledge` names what was read and need not be
    read again. `withdraw` names orders, by client id, that are not to be sent where they still wait. `send`
    may go to the broker; `cancel` too, `cancel_all` (every order of the account) and `ask`. `hasten` names
    orders, by the broker's id, whose cancel is under way and has become urgent. `halts` are to be put into
    force, and each of `resume` too; `read_again` names requests that waited for something: they are to be
    taken anew, with the prices of then.
    `first_halt_state`: write the halt state of a new account, on which nobody can have halted anything.
    `notes` are logged at once.
    """

    events: list[Message] = []
    acknowledge: list[Delivery] = []
    send: list[Approved] = []
    withdraw: list[str] = []
    cancel: list[CancelOrder] = []
    ask: list[Question] = []
    hasten: list[str] = []
    cancel_all: bool = False
    read_again: list[Delivery] = []
    halts: list[Halt] = []
    resume: list[Resume] = []
    first_halt_state: bool = False
    notes: list[Note] = []
