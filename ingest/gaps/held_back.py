"""Live entries that wait until what their streams missed is written before them. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Generic, TypeVar

import orjson

from bus.market_batch import MarketBatch

# Held back together at most; then everything goes on, and what was missed is written elsewhere.
MOST_BYTES = 32 * 1024 * 1024

_MS = 1_000_000

# Whoever holds a stream back.
Holder = TypeVar("Holder")


class HeldBack(Generic[Holder]):
    """Streams of one feed that are held back, each by one holder, and their entries, in their order.

    Mutable: both.
    """

    def __init__(self, feed: str) -> None:
        self._feed = feed
        self._holders: dict[str, Holder] = {}
        self._batches: list[MarketBatch] = []
        self._bytes = 0

    def __repr__(self) -> str:
        return f"{len(self._holders)} streams held back, {self._bytes:,} bytes"

    def __bool__(self) -> bool:
        return bool(self._holders)

    @property
    def batches(self) -> tuple[MarketBatch, ...]:
        """What is held back."""
        return tuple(self._batches)

    @property
    def streams(self) -> list[str]:
        """The streams that are held back."""
        return list(self._holders)

    @property
    def newest_ns(self) -> int:
        """No message held back is of a later time of the market, whatever the clock here; 0 without one.

        An entry's id is of that time, up to its millisecond; where the clock is slow it lags behind, and
        where the feed tells late it is when it came.
        """
        newest_ns = 0
        for batch in [one for one in self._batches if not one.marker][-1:]:
            for ms, data in zip(batch.values[::2], batch.values[1::2], strict=True):
                message = orjson.loads(data)  # type: ignore[arg-type]
                newest_ns = max(newest_ns, (int(ms) + 1) * _MS, message.get("t", 0))
        return newest_ns

    def begin(self, streams: Iterable[str], holder: Holder) -> None:
        """Hold these streams back."""
        self._holders |= dict.fromkeys(streams, holder)

    def by(self, stream: str) -> Holder | None:
        """Who holds a stream back; None while it is not."""
        return self._holders.get(stream)

    def hand_over(self, streams: Iterable[str], before: Holder, holder: Holder) -> None:
        """Another holds those of these streams that one held before."""
        self._holders |= {one: holder for one in streams if self._holders.get(one) is before}

    def hold(self, batch: MarketBatch) -> list[MarketBatch]:
        """Hold back what of a frame has to wait; returns what may be written now."""
        goes, waits = _divided(batch, self._holders)
        if waits.streams:
            self._batches.append(waits)
            self._bytes += sum(len(data) for data in waits.values[1::2] if isinstance(data, bytes))
        released = self.released(self.streams) if self._bytes > MOST_BYTES else []
        return [*released, goes]

    def released(self, streams: Collection[str]) -> list[MarketBatch]:
        """The entries of these streams, which are held back no longer."""
        let_go = {stream: self._holders.pop(stream) for stream in streams if stream in self._holders}
        if not let_go:
            return []
        divided = [_divided(batch, let_go) for batch in self._batches]
        self._batches = [rest for rest, _ in divided if rest.streams]
        if not self._batches:
            self._bytes = 0
        return [released for _, released in divided if released.streams]

    def live(self, streams: Collection[str]) -> dict[str, list[dict[str, Any]]]:
        """All messages that came of these streams since they are held back, in their order."""
        found: dict[str, list[dict[str, Any]]] = {stream: [] for stream in streams}
        for batch in self._batches:
            if not batch.marker:
                for name, data in zip(batch.streams, batch.values[1::2], strict=True):
                    if name in found:
                        found[name].append(orjson.loads(data))  # type: ignore[arg-type]
        return found


def _divided(batch: MarketBatch, waiting: Mapping[str, Any]) -> tuple[MarketBatch, MarketBatch]:
    """A frame's entries of other streams, and of those that wait."""
    parts = [
        MarketBatch([], [], batch.received_ns, batch.feed, batch.marker),
        MarketBatch([], [], batch.received_ns, batch.feed, batch.marker),
    ]
    for number, stream in enumerate(batch.streams):
        part = parts[stream in waiting]
        part.streams.append(stream)
        part.values += batch.values[2 * number : 2 * number + 2]
    return parts[0], parts[1]
