"""The broker's rate budget as a token bucket with two lanes: cancels always before orders. Pure."""

from typing import Literal

Lane = Literal["cancel", "order"]

# Alpaca's limit for trading requests, for paper and live alike.
PER_MINUTE = 200

# A full bucket and a minute's refill together must not exceed the limit of any minute: a quarter may go out
# at once, three quarters flow in.
_BURST_SHARE = 0.25

# Orders leave this share of the bucket alone, so that a cancel after a burst of orders goes out at once.
_CANCEL_SHARE = 0.2

# After a 429 the flow is halved, and comes back to its full width over this time.
_RECOVERY_NS = 60 * 1_000_000_000
_LEAST_FLOW = 0.1

# The limit is one of requests in a minute: no reset is further away, whatever a clock says.
_LONGEST_RESET_NS = 60 * 1_000_000_000


class Bucket:
    """Tokens for requests. Times are monotonic nanoseconds, passed in. Mutable: tokens and flow."""

    def __init__(self, now_ns: int, per_minute: float = PER_MINUTE) -> None:
        self._size = max(1.0, per_minute * _BURST_SHARE)
        self._kept_for_cancels = min(self._size * _CANCEL_SHARE, self._size - 1)
        self._per_ns = per_minute * (1 - _BURST_SHARE) / 60 / 1_000_000_000
        self._tokens = self._size
        self._at_ns = now_ns
        self._flow = 1.0
        self._orders_from_ns = now_ns

    def __repr__(self) -> str:
        return f"<{self._tokens:.0f} of {self._size:.0f} requests, flowing in at {self._flow:.0%}>"

    @property
    def tokens(self) -> float:
        """Requests that may go out now, as of the last question."""
        return self._tokens

    def wait_ns(self, lane: Lane, now_ns: int) -> int:
        """How long until a request of this lane may go out; 0 means now."""
        self._refill(now_ns)
        missing = self._floor(lane) + 1 - self._tokens
        refilled_ns = 0 if missing <= 0 else int(missing / (self._per_ns * self._flow)) + 1
        return max(refilled_ns, self._orders_from_ns - now_ns) if lane == "order" else refilled_ns

    def take(self, lane: Lane, now_ns: int) -> bool:
        """Spend a token if this lane may have one now."""
        if self.wait_ns(lane, now_ns):
            return False
        self._tokens -= 1
        return True

    def limited(self, lane: Lane, now_ns: int, reset_ns: int | None = None) -> None:
        """The broker answered 429: others spend from the same budget, so pause, and go slower for a while.

        Where the broker says when its limit resets, orders wait for that. Cancels do not: they make things
        safer, and one that comes too early is only refused again.
        """
        self._refill(now_ns)
        self._tokens = min(self._tokens, self._floor(lane))
        self._flow = max(_LEAST_FLOW, self._flow / 2)
        if reset_ns is not None:
            self._orders_from_ns = max(self._orders_from_ns, now_ns + min(reset_ns, _LONGEST_RESET_NS))

    def _floor(self, lane: Lane) -> float:
        return self._kept_for_cancels if lane == "order" else 0.0

    def _refill(self, now_ns: int) -> None:
        passed_ns = max(0, now_ns - self._at_ns)
        self._at_ns = max(self._at_ns, now_ns)
        self._tokens = min(self._size, self._tokens + passed_ns * self._per_ns * self._flow)
        self._flow = min(1.0, self._flow + passed_ns / _RECOVERY_NS)
