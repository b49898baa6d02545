"""The OMS's durable state: at every moment the fold of its journal. Pure."""

from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from bus.account_messages import (
    AccountPinned,
    HaltsRead,
    PositionAgrees,
    PositionDiffers,
    PositionNotUnderstood,
)
from bus.book_messages import ActivityHeard, Booked, CashAgrees, CashDiffers, CashOpened, CorporateActionTaken
from bus.codec import Message, UnknownMessage
from bus.flatten_messages import FlattenBegun
from bus.halt_messages import HaltEvent, HaltLifted, HaltTriggered, TradingDayBegun
from bus.halt_state import HaltState, united
from bus.journal_messages import ChainBegun, JournalForked
from bus.limit_messages import LimitsChanged, LimitsSet, RefusedInShadow
from bus.order_events import (
    EntryDeadLettered,
    LeaseRetired,
    OrderNotUnderstood,
    PositionProtected,
    PositionUnprotected,
    Registered,
)
from oms.book.book import Book
from oms.book.flattens import Flattens
from oms.book.halt_triggers import HaltTriggers
from oms.limits.limits import Limits
from oms.limits.limits_in_force import LimitsInForce

# After these what the account held is still to be taken over. Those of the journal itself are among them: one
# that was lost as a whole leaves a new one.
_NOT_OF_THE_ACCOUNT = frozenset((AccountPinned, HaltTriggered, ChainBegun, JournalForked))


class State:
    """What an OMS must know again after a restart. Only `apply` changes it.

    Mutable, all by `apply`: `pinned`, the broker account that the journal belongs to, None before that is
    known; `is_new` until anything else happens: what the account held is still to be taken over; `book`;
    `limits` in force, None before any, and where each is from (`limits_in_force`); `halts`, the key as last
    journalled (`halts_read`) with the automatic ones that it is still to have (`triggers`); `retired`, of
    each algorithm the last lease under which it has acknowledged its shutdown; `stopped`, those that have not
    registered since; `registered` algorithms, with the symbols that each declared, None where it declared
    none; `dead_letters`, how many entries could not be read; `not_understood`, why an `order <id>` or a
    `position <symbol>` at the broker cannot be read; `flattens` under way; `differences`, of symbols whose
    position at the broker is not the book's, both; `cash_difference`, the same of cash, which counts once it
    was `cash_opened`; `activities`, the ids of those that are booked; `corporate_actions`, when each was last
    booked; `unprotected`, by algorithm and symbol, what was last told of positions without their stop-loss;
    `unknown`, how many events of a newer version there are, by name and version.
    """

    def __init__(self) -> None:
        self.pinned: AccountPinned | None = None
        self.is_new = True
        self.book = Book()
        self.limits: Limits | None = None
        self.limits_in_force = LimitsInForce()
        self.halts_read = HaltState(known=False)
        self.triggers = HaltTriggers()
        self.halts = HaltState(known=False)
        self.retired: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.registered: dict[str, frozenset[str] | None] = {}
        self.dead_letters = 0
        self.not_understood: dict[str, str] = {}
        self.flattens = Flattens()
        self.differences: dict[str, tuple[Decimal, Decimal]] = {}
        self.unprotected: dict[tuple[str, str], PositionUnprotected] = {}
        self.corporate_actions: dict[tuple[str, str, int, int], int] = {}
        self.cash_opened = False
        self.activities: set[str] = set()
        self.cash_difference: tuple[Decimal, Decimal] | None = None
        self.unknown: Counter[str] = Counter()

    def __repr__(self) -> str:
        version = "no limits" if self.limits is None else f"limits of version {self.limits.version}"
        return f"<state: {self.book}, {version}, {len(self.registered)} algorithms>"

    def apply_all(self, events: Iterable[Message]) -> None:
        """Take in many events: the same as one after the other, and cheaper. Nobody may ask meanwhile."""
        self.book.apply_all(events, self.apply)

    def apply(self, event: Message) -> None:
        """Take in one event of the journal."""
        kind = type(event)
        # Nearly all events are of orders: for these this is short.
        if kind in _NOT_OF_THE_ACCOUNT:
            self._apply_aside(event)
            return
        self.is_new = False
        if self.flattens.under_way or kind is FlattenBegun:
            self.flattens.apply(event)
        if not self.book.apply(event) or kind is Booked:
            self._apply_beside(event)

    def _apply_aside(self, event: Message) -> None:
        """Take in what says nothing of orders or money: whose journal it is, or an automatic halt."""
        match event:
            case AccountPinned():
                # One that somebody wrote later moves no journal to another account.
                self.pinned = self.pinned or event
            case HaltTriggered():
                # Also given for a journal that was lost.
                self._halt_by(event)

    def _apply_beside(self, event: Message) -> None:
        """Take in what an event changes beside the book."""
        match event:
            case Booked():
                if event.kind == "activity":
                    self.activities.add(event.reference)
            case CorporateActionTaken():
                action = event.symbol, event.new_symbol, event.new, event.old
                self.corporate_actions[action] = event.at_ns
                if event.new_symbol == event.symbol:
                    self.book.split(event.symbol, event.new, event.old)
            case CashOpened():
                self.cash_opened = True
                self.activities.update(event.activities)
                self.book.ledger.open_cash(event.cash)
            case ActivityHeard():
                self.activities.add(event.activity_id)
            case CashDiffers():
                self.cash_difference = event.booked, event.at_broker
            case CashAgrees():
                self.cash_difference = None
            case LimitsChanged() | LimitsSet():
                self._limit_by(event)
            case RefusedInShadow():
                self.limits_in_force.refused_in_shadow(event)
            case HaltsRead():
                self.halts_read = HaltState(known=event.known, scopes=event.scopes)
                self._halt_by(event)
            case HaltLifted() | TradingDayBegun():
                self._halt_by(event)
            case LeaseRetired():
                self.retired[event.algorithm] = event.lease
                self.stopped.add(event.algorithm)
            case Registered():
                self.registered[event.algorithm] = None if event.symbols is None else frozenset(event.symbols)
                self.stopped.discard(event.algorithm)
            case EntryDeadLettered():
                self.dead_letters += 1
            case OrderNotUnderstood():
                self.not_understood[f"order {event.broker_order_id}"] = event.error
            case PositionDiffers():
                self.differences[event.symbol] = event.booked, event.at_broker
                self.not_understood.pop(f"position {event.symbol}", None)
            case PositionNotUnderstood():
                self.not_understood[f"position {event.symbol}"] = event.error
            case PositionAgrees():
                self.differences.pop(event.symbol, None)
                self.not_understood.pop(f"position {event.symbol}", None)
            case PositionUnprotected():
                self.unprotected[event.algorithm, event.symbol] = event
            case PositionProtected():
                self.unprotected.pop((event.algorithm, event.symbol), None)
            case UnknownMessage():
                self.unknown[f"{event.wire} {event.version}"] += 1

    def _limit_by(self, event: LimitsChanged | LimitsSet) -> None:
        before = None if self.limits is None else self.limits.day_losses()
        if isinstance(event, LimitsChanged):
            self.limits_in_force.read(event)
        else:
            self.limits_in_force.set(event)
        self.limits = self.limits_in_force.limits
        if self.limits is not None and self.limits.day_losses() != before:
            self.triggers.accepted.clear()

    def _halt_by(self, event: HaltEvent) -> None:
        self.triggers.apply(event)
        self.halts = united(self.halts_read, self.triggers.pending(key_known=self.halts_read.known))

    def comparable(self) -> list[object]:
        """Everything but the book that tells two states apart, in an order of its own."""
        return [
            None if self.pinned is None else (self.pinned.number, self.pinned.trading),
            self.is_new,
            None if self.limits is None else (self.limits.version, self.limits.as_dict()),
            self.limits_in_force.comparable(),
            self.halts.known,
            sorted((scope, msgspec.json.encode(mode)) for scope, mode in self.halts.scopes.items()),
            self.triggers.comparable(),
            sorted(self.stopped),
            sorted(self.retired.items()),
            sorted(
                (name, [] if declared is None else sorted(declared))
                for name, declared in self.registered.items()
            ),
            self.dead_letters,
            sorted(self.not_understood.items()),
            self.flattens.comparable(),
            sorted(self.differences.items()),
            sorted((*key, told.quantity) for key, told in self.unprotected.items()),
            sorted(self.corporate_actions.items()),
            self.cash_opened,
            sorted(self.activities),
            self.cash_difference,
            sorted(self.unknown.items()),
        ]
