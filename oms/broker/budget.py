"""The budget of requests: a bucket of tokens with reserves, and what the broker says is left. Pure."""

from typing import Literal

# The kill switch (`urgent`), look-ups of what is in doubt, and everything else, which algorithms share.
Lane = Literal["urgent", "doubt", "shared"]

# Alpaca's limit for trading requests, for paper and live alike.
PER_MINUTE = 200

# A full bucket and a minute's refill together must not exceed the limit of any minute: a quarter may go out
# at once, three quarters flow in. Counted in parts of a request so that each request a minute is one part a
# nanosecond: 3/4 in 60 s.
_REQUEST = 80 * 1_000_000_000
_BURST = 20 * 1_000_000_000

# The tenths of the bucket that each lane leaves alone, for those before it: after a burst of orders a cancel
# of the kill switch and a look-up go out at once.
_LEFT_ALONE: dict[Lane, int] = {"urgent": 0, "doubt": 2, "shared": 3}

# A 429 that does not say when it ends is waited out for this long, and for twice as long each time again.
_FIRST_PAUSE_NS = 1_000_000_000
_LONGEST_PAUSE_NS = 30 * 1_000_000_000

# The kill switch tries again this soon: it makes things safer, and is at worst refused once more.
_URGENT_PAUSE_NS = 1_000_000_000

# The limit is one of requests in a minute: no reset is further away, whatever a clock says.
_LONGEST_RESET_NS = 60 * 1_000_000_000


class Bucket:
    """Tokens for requests, at most so many a minute as are given. Times are monotonic nanoseconds, passed in.

    Mutable: tokens, the pauses after a 429, and the broker's own word: so many requests are `left` until it
    counts anew, of so many `per_minute`. That word is believed over ours, since other programs may spend from
    the same budget; a limit below the given one too: its reserves would be more than the broker ever takes.
    """

    def __init__(self, now_ns: int, per_minute: int = PER_MINUTE) -> None:
        self._most_per_minute = per_minute
        self._size = 0
        self._floors: dict[Lane, int] = {}
        self._go_by(per_minute)
        self._tokens = self._size
        self._at_ns = now_ns
        self._left: int | None = None
        self._left_until_ns = now_ns
        self._limited_in_a_row = 0
        self._paused_until_ns = now_ns
        self._urgent_from_ns = now_ns

    def __repr__(self) -> str:
        told = "" if self._left is None else f", {self._left} left by the broker's word"
        return f"<{self._tokens // _REQUEST} of {self._size // _REQUEST} requests{told}>"

    @property
    def tokens(self) -> int:
        """Requests that may go out now, as of the last question."""
        whole = self._tokens // _REQUEST
        return whole if self._left is None else min(whole, self._left)

    def wait_ns(self, lane: Lane, now_ns: int) -> int:
        """How long until a request of this lane may go out; 0 means now."""
        self._refill(now_ns)
        missing = self._floors[lane] + _REQUEST - self._tokens
        refilled_ns = max(0, -(-missing // self.per_minute))
        closed_ns = self._urgent_from_ns if lane == "urgent" else self.closed_until_ns(lane, now_ns)
        return max(refilled_ns, closed_ns - now_ns)

    def closed_until_ns(self, lane: Lane, now_ns: int) -> int:
        """Until when the broker takes no request of this lane, by its own word; not after now: it does.

        Not of the urgent lane, which is not held to that: what comes too early is only refused again.
        """
        if self._left is not None:
            if now_ns >= self._left_until_ns:
                self._left = None
            elif self._left * _REQUEST < self._floors[lane] + _REQUEST:
                return max(self._paused_until_ns, self._left_until_ns)
        return self._paused_until_ns

    def most_within(self, lane: Lane, wait_ns: int) -> int:
        """How many requests of a lane may go out within this time at the most, as of the last question."""
        return max(0, self._tokens - self._floors[lane] + wait_ns * self.per_minute) // _REQUEST

    def take(self, lane: Lane, now_ns: int) -> bool:
        """Spend a token if this lane may have one now."""
        self._refill(now_ns)
        if self._tokens < self._floors[lane] + _REQUEST:
            return False
        if now_ns < (self._urgent_from_ns if lane == "urgent" else self.closed_until_ns(lane, now_ns)):
            return False
        self._tokens -= _REQUEST
        if self._left:
            self._left -= 1
        return True

    def put_back(self) -> None:
        """A request that had its token was not sent after all."""
        self._tokens = min(self._size, self._tokens + _REQUEST)
        if self._left is not None:
            self._left += 1

    def told(self, now_ns: int, left: int, reset_ns: int, limit: int | None = None) -> None:
        """The broker took a request, and says how many more it takes before it counts anew.

        And, where it says that, how many it takes in a minute.
        """
        self._limited_in_a_row = 0
        if limit and min(limit, self._most_per_minute) != self.per_minute:
            self._refill(now_ns)
            self._go_by(min(limit, self._most_per_minute))
            self._tokens = min(self._tokens, self._size)
        if reset_ns > 0:
            self._left = left
            self._left_until_ns = now_ns + min(reset_ns, _LONGEST_RESET_NS)

    def limited(self, now_ns: int, reset_ns: int | None = None) -> None:
        """The broker answered 429. Where it says when it counts anew, sending goes on then, at once."""
        self._urgent_from_ns = now_ns + _URGENT_PAUSE_NS
        if reset_ns is not None and reset_ns > 0:
            self._left = 0
            self._left_until_ns = now_ns + min(reset_ns, _LONGEST_RESET_NS)
        else:
            pause_ns = min(_LONGEST_PAUSE_NS, _FIRST_PAUSE_NS << min(self._limited_in_a_row, 8))
            self._paused_until_ns = max(self._paused_until_ns, now_ns + pause_ns)
        self._limited_in_a_row += 1

    def _go_by(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._size = max(_REQUEST, per_minute * _BURST)
        self._floors = {
            lane: min(self._size * tenths // 10, self._size - _REQUEST)
            for lane, tenths in _LEFT_ALONE.items()
        }

    def _refill(self, now_ns: int) -> None:
        passed_ns = max(0, now_ns - self._at_ns)
        self._at_ns = max(self._at_ns, now_ns)
        self._tokens = min(self._size, self._tokens + passed_ns * self.per_minute)
