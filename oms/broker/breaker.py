"""Stops sending to a broker that fails, and finds out by one look-up at a time when it answers. Pure."""

from bus.order_messages import Reason

# So many requests in a row without the broker's own word, and it is taken to be failing.
FAILURES = 5

# One look-up is made after this long, and after twice as long each time that it fails.
_FIRST_PAUSE_NS = 1_000_000_000
_LONGEST_PAUSE_NS = 30 * 1_000_000_000


class Breaker:
    """Open, nothing is sent but look-ups one by one, and what makes things safer: cancels.

    An order is never what finds out whether the broker answers again. Mutable: failures in a row and the
    last one's words; since when it is open, when the next look-up is due, and whether one is under way.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._why = ""
        self._open_since_ns: int | None = None
        self._pause_ns = _FIRST_PAUSE_NS
        self._looks_at_ns = 0
        self._is_looking = False

    def __repr__(self) -> str:
        return f"<breaker: {f'open, {self._why}' if self.is_open else 'closed'}>"

    @property
    def is_open(self) -> bool:
        """Whether the broker is taken to be failing."""
        return self._open_since_ns is not None

    def answered(self) -> bool:
        """The broker said something in its own words; returns whether that ends a failure of it."""
        was_open = self.is_open
        self._failures = 0
        self._open_since_ns = None
        self._is_looking = False
        self._pause_ns = _FIRST_PAUSE_NS
        return was_open

    def failed(self, now_ns: int, why: str) -> bool:
        """A request had no answer of the broker's own; returns whether it is failing from now on."""
        self._failures += 1
        self._why = why
        if self._open_since_ns is None:
            if self._failures < FAILURES:
                return False
            self._open_since_ns = now_ns
            self._looks_at_ns = now_ns + self._pause_ns
            return True
        if self._is_looking:
            self._is_looking = False
            self._pause_ns = min(_LONGEST_PAUSE_NS, 2 * self._pause_ns)
            self._looks_at_ns = now_ns + self._pause_ns
        return False

    def look(self, now_ns: int) -> bool:
        """Whether the one look-up is to be made now; the answer is no until it has ended."""
        if self._open_since_ns is None or self._is_looking or now_ns < self._looks_at_ns:
            return False
        self._is_looking = True
        return True

    def reason(self, now_ns: int) -> Reason:
        """Why nothing is sent."""
        assert self._open_since_ns is not None, "it is open"
        since_s = (now_ns - self._open_since_ns) // 1_000_000_000
        next_s = max(0, self._looks_at_ns - now_ns) // 1_000_000_000
        return Reason(
            code="broker_failing",
            message=f"the broker has not answered the last {self._failures} requests, for {since_s} s "
            f"({self._why}): nothing is sent until it answers a look-up, the next in {next_s} s",
            limit=str(FAILURES),
            value=str(self._failures),
        )
