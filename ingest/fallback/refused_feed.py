"""A feed that Alpaca refuses and nothing stands in for: when it is asked for again. Pure."""

from bus.heartbeat import StateReason
from ingest.fallback.fallback import AGAIN_NS, MOST_AGAIN_NS


class RefusedFeed:
    """How long a feed is left alone after a refusal: twice as long each time, from new once it was had.

    Mutable: `wait_ns`, that, and how often the feed had been connected by then.
    """

    def __init__(self) -> None:
        self.wait_ns = 0
        self._connects = 0

    def __repr__(self) -> str:
        return f"<left alone for {self.wait_ns} ns>"

    def refused(self, code: str, sentence: str, connects: int) -> StateReason:
        """It was refused, for this reason, after so many connections; returns why it is not served."""
        was_had, self._connects = connects > self._connects, connects
        self.wait_ns = AGAIN_NS if was_had else min(max(2 * self.wait_ns, AGAIN_NS), MOST_AGAIN_NS)
        wait_s = self.wait_ns / 1_000_000_000
        return StateReason(code, f"{sentence}; it is asked for again {wait_s:g} s after this answer")
