"""Until when streams are whole by what an earlier process left on disk. Pure."""

from collections.abc import Collection, Iterable, Mapping

import msgspec

from bus.market_batch import MarketBatch
from bus.market_messages import GapOpened

_since = msgspec.json.Decoder(GapOpened).decode


class LeftOff:
    """What an earlier process left of one feed, taken in its order.

    A stream is whole until its own last message there, and no later: whether the process carried it at all
    nobody knows by another's. Mutable: the times by stream, which gaps are open at the end, the time of the
    first damage (0: nothing sound was before it), and of which streams all this was told.
    """

    def __init__(self) -> None:
        self.last_ns = 0
        self._last_ns: dict[str, int] = {}
        self._open_since_ns: dict[str, int] = {}
        self._damaged_ns = 0
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<{len(self._last_ns)} streams, {len(self._open_since_ns)} gaps open>"

    def take(self, batch: MarketBatch) -> None:
        """Messages, or markers of gaps that open, under their stamp."""
        self.last_ns = batch.received_ns
        if batch.marker == GapOpened.__name__:
            for stream, text in zip(batch.streams, batch.values[1::2], strict=True):
                self._open_since_ns.setdefault(stream, _since(text).since_ns)  # type: ignore[arg-type]
        else:
            self._last_ns |= dict.fromkeys(batch.streams, batch.received_ns)

    def resumed(self, streams: Iterable[str], until_ns: int) -> None:
        """These are carried again since then; their gaps are filled as what was left is written."""
        for stream in streams:
            self._open_since_ns.pop(stream, None)
            self._last_ns[stream] = until_ns

    def damaged(self) -> None:
        """Something that stood here is lost: of any stream, and of any gap."""
        self._damaged_ns = self._damaged_ns or self.last_ns

    def whole_until(self, streams: Collection[str], since_ns: Mapping[str, int]) -> dict[str, int]:
        """The times until which these streams are whole, of those that have any; `since_ns`: by their
        entries.

        A stream's entries alone count from the second time on: what was left was written into it since.
        """
        found = dict(since_ns)
        for stream in set(streams) - self._told:
            times = [times[stream] for times in (since_ns, self._last_ns) if stream in times]
            if times:
                most_ns = max(times)
                found[stream] = min(
                    most_ns, self._damaged_ns or most_ns, self._open_since_ns.get(stream, most_ns)
                )
        self._told.update(streams)
        return found
