"""Which feed of a configured order is served: the first that is to be had. Pure.

A feed whose plan was refused, or that cannot be had for long, is left for the next; the better ones are asked
for again now and then. Times are a monotonic clock's, in nanoseconds.
"""

from collections.abc import Sequence

from bus.heartbeat import StateReason

# A better feed is asked for again after the first; after twice as long each time it was left again within
# the first, up to the second.
AGAIN_NS, MOST_AGAIN_NS = 60_000_000_000, 960_000_000_000


class Fallback:
    """The feeds in the order in which they are wanted, and which of them is served.

    Mutable: that, since when it is served or away, why each better one is not, and when these are asked for
    again.
    """

    def __init__(self, feeds: Sequence[str], away_ns: int) -> None:
        self.feeds = tuple(feeds)
        self._away_ns = away_ns
        self._served = 0
        self._why: list[str] = []
        self._away_since_ns: int | None = None
        self._again_ns = 0
        self._wait_ns = AGAIN_NS
        self._served_since_ns: int | None = None

    def __repr__(self) -> str:
        return f"<{self.served} of {', '.join(self.feeds)}>"

    @property
    def served(self) -> str:
        """The feed that is served now."""
        return self.feeds[self._served]

    @property
    def has_next(self) -> bool:
        """Whether there is another to fall back to."""
        return self._served + 1 < len(self.feeds)

    @property
    def reasons(self) -> tuple[StateReason, ...]:
        """That another feed stands in, and why; nothing while the first is served."""
        if not self._why:
            return ()
        why = "; ".join(self._why)
        sentence = (
            f"{self.served} stands in for {self.feeds[0]}, which is asked for again now and then: {why}"
        )
        return (StateReason("feed_fallback", sentence),)

    def step_down(self, why: str, now_ns: int) -> bool:
        """Leave the feed that is served for the next; False where there is none, and it stays."""
        if not self.has_next:
            return False
        since_ns, self._served_since_ns = self._served_since_ns, None
        is_soon = since_ns is not None and now_ns - since_ns < AGAIN_NS
        self._wait_ns = min(self._wait_ns * 2, MOST_AGAIN_NS) if is_soon else AGAIN_NS
        self._again_ns = now_ns + self._wait_ns
        self._why.append(f"{self.served}: {why}")
        self._served += 1
        self._away_since_ns = None
        return True

    def is_lost(self, is_had: bool, now_ns: int) -> bool:
        """Whether the feed that is served, which is had now or not, has not been for so long that it goes."""
        if is_had:
            self._away_since_ns = None
            return False
        if self._away_since_ns is None:
            self._away_since_ns = now_ns
        return self.has_next and now_ns - self._away_since_ns >= self._away_ns

    def due(self, now_ns: int) -> tuple[str, ...]:
        """The better feeds, the best first, where they are to be asked for now."""
        return self.feeds[: self._served] if self._served and now_ns >= self._again_ns else ()

    def not_yet(self, now_ns: int) -> None:
        """None of the better ones is to be had."""
        self._again_ns = now_ns + self._wait_ns

    def return_to(self, feed: str, now_ns: int) -> None:
        """A better one is to be had again."""
        self._served = self.feeds.index(feed)
        del self._why[self._served :]
        self._away_since_ns = None
        self._served_since_ns = now_ns
        self._again_ns = now_ns + self._wait_ns
