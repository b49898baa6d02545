"""What is kept of the market streams: by a budget of bytes, by time, and for readers that are behind. Pure.

One cut in time goes through all streams: what is older than it goes, so that the same stretch of time remains
of every symbol. Only what a live reader has yet to handle is spared, up to a bound.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Literal

from bus.entry_position import entry_position
from bus.streams import market_channel, market_parts

Laggards = Literal["keep", "cut"]

# Where nothing else is said: so much of the server's own limit, or else of the memory of its machine. What
# is left is for readers that are behind, and for the server's own needs while it rewrites its file.
SHARE_OF_MAXMEMORY = 0.8
SHARE_OF_MACHINE = 0.25

# Readers that are behind hold the cut back until the server holds so much more than the budget, and never
# closer to its own limit than this.
HELD_BACK = 1.125
NEAREST_TO_MAXMEMORY = 0.95

# A budget that is reached is trimmed down to this much of it, so that streams are gone through now and then
# and not all the time. No step takes more than this share of all entries: how they lie in time is a guess.
TRIM_TO = 0.95
MOST_AT_A_STEP = 0.1
LEAST_AT_A_STEP = 0.002

# Whatever the budget, the newest stays: readers are about to read it, and the writer looks there for what it
# does not know to have arrived.
LEAST_KEPT_MS = 10_000

# How entries lie in time is estimated from so many of the longest streams.
ESTIMATED_FROM = 64

# A reader whose group was used within this time lives, whether it says so otherwise or not.
ALIVE_MS = 60_000

# Groups that nobody used for so long are given up together with their stream, where that is given up.
GROUP_UNUSED_MS = 30 * 86_400_000

# Under pressure what was backfilled goes first, once nobody touched it for so long: it can be had again.
HISTORY_UNTOUCHED_S = 600

_HOUR_MS = 3_600_000
_QUOTES = ("quotes", "orderbooks")


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept. `budget_bytes` is 0 for no budget; `quotes_hours` holds for quotes and order books.

    `held_bytes` is what the server may hold before even live readers that are behind are cut; `laggards`
    "keep" never cuts them.
    """

    budget_bytes: int
    held_bytes: int
    hours: float
    quotes_hours: float
    laggards: Laggards = "cut"


@dataclass(frozen=True, slots=True)
class Span:
    """A stream as it was last looked at: its first and last entry's milliseconds, and how many there are."""

    first_ms: int
    last_ms: int
    length: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a consumer group stands behind a cut: the id of the oldest entry that it has yet to handle.

    That is the oldest of what is pending and what was not delivered. `idle_ms` is how long ago it last asked.
    """

    group: str
    next_id: str
    idle_ms: int

    @property
    def reader(self) -> str:
        """Account and name of the algorithm; the group's own name where it is nobody's of ours."""
        return self.group.removeprefix("algo:")


def policy(
    *,
    budget_mb: int | None,
    hours: float,
    quotes_hours: float | None,
    laggards: Laggards,
    maxmemory: int,
    machine_bytes: int,
) -> Policy:
    """The policy in force on a server with this limit (0 for none) and this much memory (0 for unknown)."""
    if budget_mb is not None:
        budget = budget_mb * 1024 * 1024
    elif maxmemory:
        budget = round(SHARE_OF_MAXMEMORY * maxmemory)
    else:
        budget = round(SHARE_OF_MACHINE * machine_bytes)
    held = round(budget * HELD_BACK)
    if maxmemory:
        held = max(budget, min(held, round(NEAREST_TO_MAXMEMORY * maxmemory)))
    return Policy(budget, held, hours, hours if quotes_hours is None else quotes_hours, laggards)


def time_cut_ms(rule: Policy, channel: str, now_ms: int) -> int:
    """The millisecond before which entries of a channel are too old."""
    hours = rule.quotes_hours if channel in _QUOTES else rule.hours
    return now_ms - round(hours * _HOUR_MS)


def budget_cut_ms(
    rule: Policy,
    used_bytes: int,
    spans: Collection[Span],
    cut_ms: int,
    *,
    held: Iterable[Span] = (),
    began: bool = False,
    in_vain: int = 0,
) -> int:
    """How far the cut goes now for the budget's sake: one step, never back; `cut_ms` where it need not go.

    `began`: the budget was reached, and what is to go then has not all gone yet. `held` are streams in which
    readers are behind: what lies before the cut there comes on top of the budget, up to the bound, so that
    nobody else's history goes for it. After steps `in_vain`, by which nothing went, they get longer.
    """
    if not rule.budget_bytes or not spans:
        return cut_ms
    entries = sum(span.length for span in spans)
    before_cut = sum(span.length - _above(span, cut_ms) for span in held)
    on_top_bytes = min(rule.held_bytes - rule.budget_bytes, used_bytes * before_cut / max(1, entries))
    counted_bytes = used_bytes - on_top_bytes
    if counted_bytes <= rule.budget_bytes * (TRIM_TO if began else 1):
        return cut_ms
    excess = (counted_bytes - rule.budget_bytes * TRIM_TO) / used_bytes
    share = min(1, min(max(excess, LEAST_AT_A_STEP), MOST_AT_A_STEP) * 2**in_vain)
    furthest = max(span.last_ms for span in spans) - LEAST_KEPT_MS
    longest = nlargest(ESTIMATED_FROM, spans, key=lambda span: span.length)
    return max(cut_ms, min(furthest, _older_than_ms(longest, cut_ms, share)))


def is_spent(spans: Collection[Span], cut_ms: int) -> bool:
    """Whether the cut cannot go further: all that is left is too new."""
    return not spans or cut_ms >= max(span.last_ms for span in spans) - LEAST_KEPT_MS


def spares(rule: Policy, used_bytes: int) -> bool:
    """Whether live readers that are behind hold the cut back now."""
    return rule.laggards == "keep" or not rule.budget_bytes or used_bytes <= rule.held_bytes


def kept_from(cut_id: str, places: Iterable[Place], alive: Collection[str], *, sparing: bool) -> str:
    """The id from which on a stream is kept: that of the cut, or before it of what a live reader needs.

    `alive` holds readers that say that they live.
    """
    needed = [place.next_id for place in places if sparing and is_alive(place, alive)]
    return min((cut_id, *needed), key=entry_position)


def is_alive(place: Place, alive: Collection[str]) -> bool:
    """Whether somebody reads through this group now."""
    return place.reader in alive or 0 <= place.idle_ms < ALIVE_MS


def outdated(
    rule: Policy, spans: Mapping[str, Span], wanted: Collection[tuple[str, str]], now_ms: int
) -> list[str]:
    """Streams that nobody wants and into which nothing was written for as long as entries are kept.

    `wanted` holds pairs of channel and symbol, `*` for all. Channel and symbol of a partition of all symbols
    are wanted while `*` is.
    """
    return [
        stream
        for stream, span in spans.items()
        if span.last_ms < time_cut_ms(rule, market_channel(stream), now_ms) and not _is_wanted(stream, wanted)
    ]


def full_in_s(rule: Policy, samples: Sequence[tuple[float, int]]) -> float | None:
    """Seconds until the budget is full at the rate of these samples (second, bytes held), oldest first.

    0 once it is: then the oldest goes as the newest comes. None where it is not being filled, or nothing can
    be said yet.
    """
    if not samples or not rule.budget_bytes:
        return None
    if samples[-1][1] >= rule.budget_bytes * TRIM_TO:
        return 0.0
    (then_s, then_bytes), (now_s, now_bytes) = samples[0], samples[-1]
    if now_s <= then_s or now_bytes <= then_bytes:
        return None
    return max(0, rule.budget_bytes - now_bytes) * (now_s - then_s) / (now_bytes - then_bytes)


def _is_wanted(stream: str, wanted: Collection[tuple[str, str]]) -> bool:
    symbol, channel = market_parts(stream)
    return (channel, "*") in wanted or (channel, symbol) in wanted


def _older_than_ms(spans: Collection[Span], cut_ms: int, share: float) -> int:
    """The millisecond before which this share of what is above the cut lies, each stream taken as even."""
    above = [(max(span.first_ms, cut_ms), span.last_ms + 1, _above(span, cut_ms)) for span in spans]
    total = sum(count for _, _, count in above)
    low, high = min(first for first, _, _ in above), max(last for _, last, _ in above)
    while high - low > 1:
        middle = (low + high) // 2
        older = sum(count * _part(middle, first, last) for first, last, count in above)
        if older < share * total:
            low = middle
        else:
            high = middle
    return high


def _above(span: Span, cut_ms: int) -> float:
    """How many entries of a stream lie above the cut."""
    return span.length * (1 - _part(cut_ms, span.first_ms, span.last_ms + 1))


def _part(ms: int, first_ms: int, end_ms: int) -> float:
    """Which part of a stretch of time lies before this millisecond."""
    return min(1.0, max(0.0, (ms - first_ms) / (end_ms - first_ms))) if end_ms > first_ms else 0.0
