"""Every event: what the journal holds, and what an algorithm is told of its own, as one union. Pure."""

from bus.account_messages import (
    POSITION_EVENTS,
    AccountPinned,
    JournalSetAside,
    OrdersCanceled,
    PositionEvent,
)
from bus.book_messages import BOOK_EVENTS, BookEvent
from bus.codec import Message
from bus.flatten_messages import FlattenBegun, FlattenEnded, SymbolFlattenEnded
from bus.halt_messages import HALT_EVENTS, HaltEvent
from bus.journal_messages import ChainBegun, JournalForked, OrdersPutAway
from bus.limit_messages import LIMIT_EVENTS, LimitEvent
from bus.order_events import (
    CancelRefused,
    EntryDeadLettered,
    ExternalOrderFound,
    FillAbsorbed,
    LeaseRetired,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderNotUnderstood,
    OrderRefused,
    OrderSent,
    OrdersRefused,
    OrderUncertain,
    OrderUpdated,
    PositionProtected,
    PositionUnprotected,
    Registered,
)

Event = (
    Registered
    | OrderApproved
    | OrderRefused
    | OrdersRefused
    | OrderSent
    | LegFound
    | OrderUncertain
    | OrderUpdated
    | OrderFilled
    | FillAbsorbed
    | ExternalOrderFound
    | OrderNotUnderstood
    | BookEvent
    | HaltEvent
    | PositionEvent
    | PositionUnprotected
    | PositionProtected
    | CancelRefused
    | EntryDeadLettered
    | LeaseRetired
    | AccountPinned
    | JournalSetAside
    | ChainBegun
    | JournalForked
    | OrdersPutAway
    | OrdersCanceled
    | FlattenBegun
    | SymbolFlattenEnded
    | FlattenEnded
    | LimitEvent
)
EVENTS: tuple[type[Message], ...] = (
    Registered,
    OrderApproved,
    OrderRefused,
    OrdersRefused,
    OrderSent,
    LegFound,
    OrderUncertain,
    OrderUpdated,
    OrderFilled,
    FillAbsorbed,
    ExternalOrderFound,
    OrderNotUnderstood,
    *BOOK_EVENTS,
    *HALT_EVENTS,
    *POSITION_EVENTS,
    PositionUnprotected,
    PositionProtected,
    CancelRefused,
    EntryDeadLettered,
    LeaseRetired,
    AccountPinned,
    JournalSetAside,
    ChainBegun,
    JournalForked,
    OrdersPutAway,
    OrdersCanceled,
    FlattenBegun,
    SymbolFlattenEnded,
    FlattenEnded,
    *LIMIT_EVENTS,
)
