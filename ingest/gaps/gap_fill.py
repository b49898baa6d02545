"""What a stream missed, as history tells it: what of it is new, and when it is all there. Pure."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import orjson

from bus.market_batch import BACKFILLED, MarketBatch

# Of these channels Alpaca has history; what was missed of the others is lost.
CHANNELS = ("trades", "quotes", "bars")

# History is asked from so long before a stream's last message: trades are reported out of their order.
LOOK_BACK_NS = 2_000_000_000

# History that was asked so long after the stream was whole again has what was before, also where nothing
# came live since that would prove it.
SETTLED_NS = 1_000_000_000

# Of so many that come first not all are told late.
FIRST_LIVE = 5

# What history has for so long came live by now, where it was to.
ON_ITS_WAY_NS = 500_000_000

# One script takes so many entries: a longer one would keep the server from everybody else.
ENTRIES_AT_ONCE = 200

# Of what is known only the latest is remembered beyond so many: history comes in its order.
MOST_REMEMBERED = 50_000

Message = Mapping[str, Any]


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """One stream's gap, as it is kept until it is closed.

    `since_ns` is what its GapOpened says, `until_ns` when it was carried again, and `after_ns` the market's
    time of the last message before: what was missed came after that. Until `earlier_ns` an earlier gap of the
    stream, which was open still, is filled beside it.
    """

    stream: str
    symbol: str
    channel: str
    since_ns: int
    until_ns: int
    after_ns: int
    earlier_ns: int = 0


def look_back_ns(channel: str, bar_ns: int) -> int:
    """How far before the last message of a stream something may be that is told after it."""
    return bar_ns + LOOK_BACK_NS if channel == "bars" else LOOK_BACK_NS


def identity(message: Message) -> Hashable:
    """What two messages share that are the same one.

    Exact for trades (Alpaca numbers them by exchange and day) and bars. Quotes have no number: two with the
    same content at the same nanosecond count as one.
    """
    match message["T"]:
        case "t":
            return message.get("x"), message.get("i"), message["t"]
        case "b":
            return (message["t"],)
    return tuple(
        sorted((name, tuple(value) if isinstance(value, list) else value) for name, value in message.items())
    )


class StreamFill:
    """What is found of one stream's gap.

    Mutable: what is known, what was found and not taken out yet, and `written`, how much was.
    """

    def __init__(self, hole: Hole, there: Iterable[Message], bar_ns: int) -> None:
        self.hole = hole
        self.written = 0
        self._bar_ns = bar_ns
        self._look_back_ns = look_back_ns(hole.channel, bar_ns)
        self._there: dict[Hashable, int] = {identity(message): message["t"] for message in there}
        # What was before the stream's first message was not missed: nobody had asked for it yet.
        first = min(self._there, key=self._there.__getitem__, default=None)
        first_ns = self._there[first] if self._there else hole.after_ns
        self._begin_ns = self._last_ns = max(
            first_ns, hole.after_ns - self._look_back_ns, hole.earlier_ns + 1
        )
        self._first = first if first_ns == self._begin_ns else None
        self._past: dict[Hashable, None] = {}
        self._found: list[Message] = []

    def __repr__(self) -> str:
        return f"<{len(self._found)} messages found for {self.hole.stream}>"

    @property
    def asked_from_ns(self) -> int:
        """From which time of the market on history is asked, the next time."""
        return max(self._begin_ns, self._last_ns - self._look_back_ns)

    def take(self, messages: Iterable[Message], now_ns: int) -> None:
        """Take messages of history, in their order; a bar that is not over at `now_ns` is none yet."""
        for message in messages:
            at_ns = message["t"]
            if at_ns < self._begin_ns or (self.hole.channel == "bars" and at_ns + self._bar_ns > now_ns):
                continue
            self._last_ns = max(self._last_ns, at_ns)
            known = identity(message)
            if known not in self._past:
                if known not in self._there and not self._is_before_the_first(at_ns):
                    self._found.append(message)
                self._past[known] = None
        while len(self._past) > MOST_REMEMBERED:
            del self._past[next(iter(self._past))]

    def _is_before_the_first(self, at_ns: int) -> bool:
        """Whether it is of the time of the stream's first message, and comes before it."""
        return at_ns == self._begin_ns and self._first is not None and self._first not in self._past

    def is_complete(self, live: Message | None, asked_ns: int) -> bool:
        """Whether nothing can be missing, where history was asked at `asked_ns` and all of it was taken.

        `live` is the first message that came live since: once it is in history, all before it is. It may
        never be; then what was asked for must reach a while beyond it, whatever the time is here.
        """
        is_settled = asked_ns - self.hole.until_ns >= SETTLED_NS
        if live is None or self.hole.channel == "bars":
            return is_settled
        return identity(live) in self._past or (is_settled and asked_ns - live["t"] >= SETTLED_NS)

    def came_live(self, messages: Iterable[Message]) -> None:
        """These are in the stream as well."""
        self._there |= {identity(message): message["t"] for message in messages}
        self._found = [one for one in self._found if identity(one) not in self._there]

    def is_beside(self, messages: Sequence[Message]) -> None:
        """These, and no others, are in the stream of what was found."""
        self.came_live(messages)
        self.written = len(messages)

    def taken_out(self, until_ns: int | None = None) -> list[Message]:
        """What was found since the last time, by the market's time; nothing told later than `until_ns`.

        A bar is told at the end of its minute.
        """
        found = sorted(self._found, key=lambda message: message["t"])
        if until_ns is not None:
            told_ns = until_ns - (self._bar_ns if self.hole.channel == "bars" else 0)
            found = [message for message in found if message["t"] <= told_ns]
        self._found = []
        self.written += len(found)
        return found


def latest_of(live: Sequence[Message]) -> Message | None:
    """Of the first that came live the latest by its time: one alone may have been told late."""
    return max(live[:FIRST_LIVE], key=lambda message: message["t"], default=None)


def missed_until_ns(hole: Hole, live: Sequence[Message], asked_ns: int) -> int:
    """What is told later than this came live, or will: it may be on its way still.

    Where nothing came live, what history has for a while would have come, whatever the time is here.
    """
    if hole.channel == "bars":
        return hole.until_ns
    newest_ns = max((message["t"] for message in live), default=asked_ns - ON_ITS_WAY_NS)
    return max(hole.until_ns, newest_ns)


def batches(
    messages: Sequence[tuple[str, Message]], received_ns: int, feed: str, bar_ns: int
) -> list[MarketBatch]:
    """Entries of history, each with its stream, as one script after another writes them."""
    found: list[MarketBatch] = []
    # Each has a time of receipt of its own: by that a batch whose reply was lost is looked for.
    for number, start in enumerate(range(0, len(messages), ENTRIES_AT_ONCE)):
        some = messages[start : start + ENTRIES_AT_ONCE]
        values: list[int | bytes] = []
        for _, message in some:
            at_ns = message["t"] + (bar_ns if message["T"] == "b" else 0)
            values += (at_ns // 1_000_000, orjson.dumps(message))
        streams = [stream for stream, _ in some]
        found.append(MarketBatch(streams, values, received_ns + number, feed, BACKFILLED))
    return found
