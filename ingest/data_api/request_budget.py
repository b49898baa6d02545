"""How many requests Alpaca's data API may be asked this minute, and by whom. Pure.

The plan's limit is one for everything that asks with the same keys. Snapshots and history each have half
of it; what one does not use flows over to the other. So a fill of hours gets nearly everything while nobody
wants a price, and never keeps one waiting.
"""

SNAPSHOTS, HISTORY = "snapshots", "history"
LANES = (SNAPSHOTS, HISTORY)

_MINUTE_NS = 60_000_000_000

# One request, in the unit that each lane gains `self._gain` of in a nanosecond: whole numbers, so that no
# rounding ever adds up to a request too many.
_REQUEST = len(LANES) * _MINUTE_NS


class RequestBudget:
    """A bucket of requests for each lane: at most `per_minute` together in any minute, whenever it begins.

    Times are nanoseconds of a clock that never steps back. Mutable: the buckets, until when Alpaca asked to
    be left alone, and since when each lane has been waiting.
    """

    def __init__(self, per_minute: int) -> None:
        # Full buckets and a minute's gain together are the limit.
        at_once = max(len(LANES), per_minute // 10)
        self._per_minute = per_minute
        self._gain = per_minute - at_once
        self._full = at_once * _MINUTE_NS
        self._held = dict.fromkeys(LANES, self._full)
        self._counted_ns: int | None = None
        self._paused_until_ns: int | None = None
        self.waiting_since_ns: dict[str, int] = {}

    def __repr__(self) -> str:
        waiting = " and ".join(sorted(self.waiting_since_ns)) or "nobody"
        return f"<{self._per_minute} requests a minute, {waiting} waiting>"

    def take(self, lane: str, now_ns: int) -> int:
        """Take one request; returns 0, or where there is none the nanoseconds after which to ask again."""
        self._count(now_ns)
        wait_ns = 0
        if self._paused_until_ns is not None and now_ns < self._paused_until_ns:
            wait_ns = self._paused_until_ns - now_ns
        elif self._held[lane] < _REQUEST:
            wait_ns = -(-(_REQUEST - self._held[lane]) // self._gain)
        if wait_ns:
            self.waiting_since_ns.setdefault(lane, now_ns)
            return wait_ns
        self._held[lane] -= _REQUEST
        self.waiting_since_ns.pop(lane, None)
        return 0

    def pause(self, until_ns: int) -> None:
        """Alpaca refused for the rate: nobody asks until then."""
        self._paused_until_ns = max(until_ns, self._paused_until_ns or until_ns)

    def _count(self, now_ns: int) -> None:
        """Add what was gained since the last time; what one lane cannot hold flows to the other."""
        gained = (now_ns - self._counted_ns) * self._gain if self._counted_ns is not None else 0
        self._counted_ns = now_ns
        over = 0
        for lane in LANES:
            held = self._held[lane] + gained
            over += max(0, held - self._full)
            self._held[lane] = min(held, self._full)
        for lane in LANES:
            self._held[lane] = min(self._held[lane] + over, self._full)
