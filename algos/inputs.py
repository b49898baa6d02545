"""Everything that a session takes, as one union of frozen inputs, and how entries of streams become inputs.

Each input has `trigger`, which names it, `content`, which tells two inputs of one name apart, and
`received_ns`: the time that its handler sees, and from which the age of its orders is counted. A trigger
never comes from a wall clock: order ids are made of it, and the same input makes the same ids everywhere.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import ClassVar, Protocol

import msgspec

from algos.lifecycle import State
from algos.notices import Gap, Timer
from bus.codec import MessageCodec, market_message
from bus.control_messages import Flatten, Halt, ReduceOnly, Resume
from bus.delivery import cut_of
from bus.entry_position import entry_position
from bus.errors import Unreadable
from bus.events import EVENTS, Event
from bus.market_messages import GapClosed, GapOpened, MarketMessage
from bus.streams import market_all_partitions, market_channel

ALL_SYMBOLS = "*"
# Made once: written where it is asked for, a union of two classes would be made for each tick.
_GAPS = (GapOpened, GapClosed)

_EVENT_CODEC = MessageCodec(EVENTS)
_channel = lru_cache(maxsize=None)(market_channel)


class StreamEntry(msgspec.Struct, frozen=True, gc=False):
    """An entry of a stream. `redelivered`: this session, or one before it, may have taken it already."""

    stream: str
    entry_id: str
    received_ns: int
    content: bytes
    redelivered: bool

    @property
    def trigger(self) -> str:
        """Stream and entry id."""
        return f"{self.stream} {self.entry_id}"


class MarketEntry(StreamEntry, frozen=True, gc=False):
    """A message of the market."""

    message: MarketMessage


class GapEntry(StreamEntry, frozen=True, gc=False):
    """A gap marker; `symbol` is `*` where it concerns every symbol."""

    symbol: str
    channel: str
    mark: GapOpened | GapClosed

    @property
    def gap(self) -> Gap:
        """What the author's handler is told."""
        mark = self.mark
        return Gap(
            symbol=self.symbol,
            channel=self.channel,
            kind="opened" if isinstance(mark, GapOpened) else "closed",
            since_ns=mark.since_ns,
            until_ns=mark.until_ns if isinstance(mark, GapClosed) else None,
            reason=mark.reason if isinstance(mark, GapOpened) else "",
            backfilled=mark.backfilled if isinstance(mark, GapClosed) else None,
            history=mark.history if isinstance(mark, GapClosed) else "",
        )


class TrimmedEntry(StreamEntry, frozen=True, gc=False):
    """Market entries whose content was cut from their stream before they were read, the first of `count`.

    Their time is between that of its id and `until_ns`, that of the first that was kept; None for an entry
    that had been delivered before.
    """

    symbol: str
    channel: str
    count: int = 1
    until_ns: int | None = None

    @property
    def gap(self) -> Gap:
        """What the author's handler is told."""
        what = "1 entry was" if self.count == 1 else f"{self.count:,} entries were"
        return Gap(
            symbol=self.symbol,
            channel=self.channel,
            kind="trimmed",
            since_ns=entry_position(self.entry_id)[0] * 1_000_000,
            until_ns=self.until_ns,
            reason=f"{what} cut from the stream before this algorithm had handled them",
        )


class UnreadableEntry(StreamEntry, frozen=True, gc=False):
    """An entry that cannot be read; whoever read it keeps it as a dead letter."""


class OrderEvent(StreamEntry, frozen=True, gc=False):
    """What became of a request."""

    event: Event


class TimerDue(msgspec.Struct, frozen=True):
    """A timer is due; its instant is its time, however late it is taken at `taken_ns`.

    Where the wall clock was set back an instant may lie ahead of it, for instants never come twice. Then it
    is of now: counted from its instant, its order would pass for fresh for that much longer.
    """

    content: ClassVar[bytes] = b""

    timer: Timer
    taken_ns: int

    @property
    def trigger(self) -> str:
        """The timer's name and instant."""
        return f"timer {self.timer.name} {self.timer.scheduled_ns}"

    @property
    def received_ns(self) -> int:
        """The instant at which it is due; no later than it is taken."""
        return min(self.timer.scheduled_ns, self.taken_ns)


class ControlEntry(msgspec.Struct, frozen=True):
    """A halt, a restriction, a resumption or a flatten, with its entry id in the control stream."""

    entry_id: str
    received_ns: int
    message: Halt | ReduceOnly | Resume | Flatten

    @property
    def trigger(self) -> str:
        """`control` and the entry id."""
        return f"control {self.entry_id}"

    @property
    def content(self) -> bytes:
        """The message as JSON."""
        return msgspec.json.encode(self.message)


class ShutdownRequested(msgspec.Struct, frozen=True):
    """The process is to end: `control_entry_id` asked for it; a signal did where that is empty."""

    content: ClassVar[bytes] = b""

    received_ns: int
    lease: str
    control_entry_id: str = ""

    @property
    def trigger(self) -> str:
        """`control` and the entry id, or `shutdown` and the fencing token, under which it happens once."""
        if self.control_entry_id:
            return f"control {self.control_entry_id}"
        return f"shutdown {token_of(self.lease)}"


class StateChanged(msgspec.Struct, frozen=True):
    """The process becomes leader, follower or aborted; `lease` is that under which it leads or last led."""

    content: ClassVar[bytes] = b""

    state: State
    lease: str
    received_ns: int

    @property
    def trigger(self) -> str:
        """`state`, its name and the fencing token."""
        return f"state {self.state} {token_of(self.lease)}"


Input = (
    MarketEntry
    | GapEntry
    | TrimmedEntry
    | UnreadableEntry
    | OrderEvent
    | TimerDue
    | ControlEntry
    | ShutdownRequested
    | StateChanged
)


class Delivered(Protocol):
    """An entry as a reader delivers it, or as a replay finds it."""

    @property
    def stream(self) -> str:
        """The stream that it is of."""
        ...

    @property
    def id(self) -> str:
        """Its entry id."""
        ...

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """Its fields; where it was trimmed, at most what was cut."""
        ...

    @property
    def redelivered(self) -> bool:
        """Whether it may have been delivered before."""
        ...

    @property
    def trimmed(self) -> bool:
        """Whether its content is gone from the stream."""
        ...


def token_of(lease: str) -> int:
    """The fencing token of a lease's value, `<token>:<holder>:<mark>`; 0 for one that was never held."""
    return int(lease.partition(":")[0]) if lease else 0


def market_input(delivery: Delivered, now_ns: int) -> MarketEntry | GapEntry | TrimmedEntry:
    """The input that an entry of a market stream is; a trimmed one, which has no time, was received now.

    Raises Unreadable, also where the time of receipt is missing.
    """
    stream, fields = delivery.stream, delivery.fields
    channel = _channel(stream)
    if delivery.trimmed:
        return _trimmed(delivery, now_ns, _symbol(stream, channel), channel)
    message = market_message(channel, fields)
    try:
        received_ns = int(fields[b"r"])
    except (KeyError, ValueError):
        raise Unreadable("a market entry without its receive time r") from None
    if isinstance(message, _GAPS):
        named = _symbol(stream, channel), channel, message
        return GapEntry(stream, delivery.id, received_ns, fields[b"d"], delivery.redelivered, *named)
    return MarketEntry(stream, delivery.id, received_ns, fields[b"d"], delivery.redelivered, message)


def event_input(delivery: Delivered, now_ns: int) -> OrderEvent | None:
    """The input that an entry of an events stream is; None for a trimmed one, which is in no portfolio.

    Its time is that of its id, not `now_ns`. Raises Unreadable.
    """
    if delivery.trimmed:
        return None
    event: Event = _EVENT_CODEC.decode(delivery.fields)  # type: ignore[assignment]
    received_ns = entry_position(delivery.id)[0] * 1_000_000
    content = delivery.fields[b"data"]
    return OrderEvent(delivery.stream, delivery.id, received_ns, content, delivery.redelivered, event)


def _trimmed(delivery: Delivered, now_ns: int, symbol: str, channel: str) -> TrimmedEntry:
    cut = cut_of(delivery.fields)
    until_ns = entry_position(cut.kept_id)[0] * 1_000_000 if cut is not None else None
    return TrimmedEntry(
        delivery.stream,
        delivery.id,
        now_ns,
        b"",
        delivery.redelivered,
        symbol,
        channel,
        count=1 if cut is None else cut.entries,
        until_ns=until_ns,
    )


def _symbol(stream: str, channel: str) -> str:
    return ALL_SYMBOLS if stream in market_all_partitions(channel) else stream.split(":")[1]
