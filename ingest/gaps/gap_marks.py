"""Which streams of a feed have a gap open; markers go to the buffer, where they stand in their order."""

from collections.abc import Iterable, Mapping

from bus.clock import Clock
from ingest.buffer import Buffer
from ingest.buffered_item import Item, Resumed
from ingest.gaps import gap_entries


class GapMarks:
    """Gaps that are told as open.

    Mutable: `open`, the streams, each with the time until which it is whole; `held`, those of them that are
    not whole yet, whatever is acknowledged.

    What takes over from another feed is given what that one left `open`.
    """

    def __init__(
        self, feed: str, buffer: Buffer[Item], clock: Clock, open: Mapping[str, int] | None = None
    ) -> None:
        self.open: dict[str, int] = dict(open or {})
        self.held: set[str] = set()
        self._feed = feed
        self._buffer = buffer
        self._clock = clock

    def __repr__(self) -> str:
        return f"<{len(self.open)} gaps open in {self._feed}>"

    def mark(self, since_ns: Mapping[str, int], reason: str) -> bool:
        """Say in these streams that messages may be missing since then; False where that was said already."""
        now_ns = self._clock.now_ns()
        # No gap begins later than now, as one would where the clock was set back.
        found = {one: min(since, now_ns) for one, since in since_ns.items() if one not in self.open}
        if found:
            self.open |= found
            self._buffer.add(gap_entries.opened(found, feed=self._feed, at_ns=now_ns, reason=reason), 0)
        return bool(found)

    def resume(self, streams: Iterable[str]) -> None:
        """These are whole from here on: their gaps can be filled, and closed."""
        whole = {
            stream: self.open.pop(stream)
            for stream in streams
            if stream in self.open and stream not in self.held
        }
        if whole:
            self._buffer.add(Resumed(whole, self._clock.now_ns()), 0)
