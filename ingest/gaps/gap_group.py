"""Gaps that are filled together: of one channel, and of about the same time. Pure."""

from collections.abc import Collection, Mapping
from itertools import groupby

from bus.streams import history, market_parts
from ingest.gaps.gap_fill import Hole, StreamFill

# Streams of one request for history, and how far apart their gaps may begin.
MOST_STREAMS, MOST_APART_NS = 100, 60_000_000_000


class Group:
    """Streams of one channel whose gaps are filled together.

    Mutable: the fills of those that are open, and until when messages came live that waited for them (ns).
    """

    def __init__(self, channel: str, since_ns: Mapping[str, int], until_ns: int) -> None:
        self.channel = channel
        self.since_ns = since_ns
        self.until_ns = until_ns
        self.live_ns = 0
        self.fills: dict[str, StreamFill] = {}

    def __repr__(self) -> str:
        return f"<{len(self.fills)} open gaps of {self.channel}>"


def beside(hole: Hole) -> str:
    """The stream of what a gap missed, where it could not be written into its own."""
    return history(hole.symbol, hole.channel, f"gap-{hole.until_ns // 1_000_000}")


def grouped(since_ns: Mapping[str, int], until_ns: int, first: Collection[str]) -> list[Group]:
    """These gaps in groups that are asked for together, those of the symbols in `first` before all others."""
    found: list[Group] = []

    def turn(stream: str) -> tuple[bool, str, int]:
        symbol, channel = market_parts(stream)
        return symbol not in first, channel, since_ns[stream]

    for (_, channel), streams in groupby(sorted(since_ns, key=turn), key=lambda stream: turn(stream)[:2]):
        some: dict[str, int] = {}
        for stream in streams:
            begin_ns = next(iter(some.values()), since_ns[stream])
            if len(some) == MOST_STREAMS or since_ns[stream] - begin_ns > MOST_APART_NS:
                found.append(Group(channel, some, until_ns))
                some = {}
            some[stream] = since_ns[stream]
        found.append(Group(channel, some, until_ns))
    return found
