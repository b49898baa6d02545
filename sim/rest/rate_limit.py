"""A budget of requests per minute, counted in windows as Alpaca's headers show them."""

from dataclasses import dataclass

from sim.times import SECOND_NS

WINDOW_NS = 60 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request is allowed, and what its headers say."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Return the X-RateLimit headers; the reset is in seconds since 1970."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }


class RateLimit:
    """Allows `limit` requests a minute; a minute begins with its first request."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._end_ns = 0

    def ask(self, now_ns: int) -> Verdict:
        """Count one request."""
        if now_ns >= self._end_ns:
            self._end_ns = now_ns + WINDOW_NS
            self._used = 0
        is_allowed = self._used < self._limit
        self._used += is_allowed
        return self._verdict(is_allowed, self._limit - self._used)

    def exhausted(self, now_ns: int, until_ns: int | None = None) -> Verdict:
        """Refuse a request, whatever is left of the budget; until then, or for the rest of the minute."""
        if now_ns >= self._end_ns:
            self._end_ns = now_ns + WINDOW_NS
            self._used = 0
        return self._verdict(False, 0, until_ns)

    def _verdict(self, is_allowed: bool, remaining: int, until_ns: int | None = None) -> Verdict:
        end_ns = self._end_ns if until_ns is None else until_ns
        return Verdict(is_allowed, self._limit, remaining, -(-end_ns // SECOND_NS))
