"""Numbers an account's updates as events that can be asked for again, by id or by time.

Ids are ULIDs: 48 bits of milliseconds and 80 random bits, in Crockford's base 32, so that they sort by time.
Within a millisecond the next id is the last plus one. Moments are whole microseconds, each later than the
last. So whoever asks for what came after an id or a moment misses nothing and gets nothing twice.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sim.broker.updates import Update
from sim.times import MILLISECOND_NS

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26
_CHANCE_BITS = 80
_MICROSECOND_NS = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """An update, its ULID, and when it happened."""

    id: str
    at_ns: int
    update: Update


class EventLog:
    """Events of a history of updates, which grows meanwhile; `draw` returns so many random bits.

    With `fills_only`, only fills are events.
    """

    def __init__(
        self, history: Sequence[Update], draw: Callable[[int], int], fills_only: bool = False
    ) -> None:
        self._history = history
        self._draw = draw
        self._fills_only = fills_only
        self._read = 0
        self._events: list[Event] = []
        self._last = 0

    def __len__(self) -> int:
        self._catch_up()
        return len(self._events)

    def __getitem__(self, place: int) -> Event:
        self._catch_up()
        return self._events[place]

    def since(self, time_ns: int) -> int:
        """Return the index of the first event at this moment or later."""
        self._catch_up()
        return bisect_left(self._events, time_ns, key=lambda event: event.at_ns)

    def after(self, event_id: str) -> int:
        """Return the index of the first event whose id is greater."""
        self._catch_up()
        return bisect_right(self._events, event_id, key=lambda event: event.id)

    def _catch_up(self) -> None:
        while self._read < len(self._history):
            update = self._history[self._read]
            self._read += 1
            if self._fills_only and update.fill is None:
                continue
            at_ns = -(-update.at_ns // _MICROSECOND_NS) * _MICROSECOND_NS
            if self._events:
                at_ns = max(at_ns, self._events[-1].at_ns + _MICROSECOND_NS)
            self._events.append(Event(self._next_id(at_ns), at_ns, update))

    def _next_id(self, at_ns: int) -> str:
        earliest = (at_ns // MILLISECOND_NS) << _CHANCE_BITS
        if self._last >= earliest:
            self._last += 1
        else:
            self._last = earliest | self._draw(_CHANCE_BITS - 1)
        return written(self._last)


def written(number: int) -> str:
    """Return a ULID's 128 bits as its 26 digits."""
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))


def is_ulid(text: str) -> bool:
    """Return whether this is a ULID: 26 digits, of which the first is at most 7."""
    return len(text) == _LENGTH and set(text) <= set(_DIGITS) and text[0] <= "7"


def moment_ns(event_id: str) -> int:
    """Return the beginning of the millisecond in which this ULID was made."""
    number = 0
    for digit in event_id:
        number = number << 5 | _DIGITS.index(digit)
    return (number >> _CHANCE_BITS) * MILLISECOND_NS
