"""When history is asked whether a feed that says nothing should have said something, and what it means. Pure.

Times are nanoseconds of the clock that stamps what is received.
"""

from dataclasses import dataclass
from enum import Enum, auto


class Verdict(Enum):
    """What history says of a connection on which nothing came."""

    # It had to tell something, and did not.
    MUTE = auto()
    # Nothing was to be told since something last came, or for so long that the market is believed quiet.
    QUIET = auto()
    # An earlier connection was mute; whether this one is nobody can say yet.
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Question:
    """What history is asked for: what the connection had to tell from `since_ns` to `until_ns`.

    And, from `before_ns` to `since_ns`, what an earlier one had to, since something last came.
    """

    before_ns: int
    since_ns: int
    until_ns: int


class Unheard:
    """Asks about one feed, the longer nothing comes the more seldom: from `first_ns` to `longest_ns` apart.

    It is asked about on a connection that was made because the one before it was mute, until something comes
    on it; where `is_always`, on any on which nothing comes. History and stream may tell the same `grace_ns`
    apart, and our clock may differ from theirs by as much. Mutable: the connection, since when it carries
    what is wanted, when something last came, and how it was last asked.
    """

    def __init__(
        self, began_ns: int, *, is_always: bool, first_ns: int, longest_ns: int, grace_ns: int
    ) -> None:
        self._is_always = is_always
        self._first_ns = first_ns
        self._longest_ns = longest_ns
        self._grace_ns = grace_ns
        self._connection = 0
        self._is_doubted = False
        self._carried_ns = 0
        self._heard_ns = began_ns
        self._asked_ns = 0
        self._wait_ns = first_ns

    def __repr__(self) -> str:
        return f"<asked every {self._wait_ns:,} ns, {'doubted' if self._is_doubted else 'not doubted'}>"

    def question(
        self, now_ns: int, *, connection: int, is_carried: bool, is_doubted: bool, heard_ns: int
    ) -> Question | None:
        """What is to be asked now; None while nothing is.

        `connection` is its number, `is_carried`: all that is wanted is subscribed to on it, `is_doubted`: the
        one before was mute, and nothing came since; `heard_ns`: when something last came, 0 before any did.
        """
        if connection != self._connection:
            self._connection, self._carried_ns, self._is_doubted = connection, 0, is_doubted
        if heard_ns > self._heard_ns:
            self._heard_ns, self._is_doubted, self._wait_ns = heard_ns, False, self._first_ns
        if not is_carried:
            self._carried_ns = 0
            return None
        self._carried_ns = self._carried_ns or now_ns
        if not (self._is_doubted or self._is_always):
            return None
        heard_ns = max(self._carried_ns, self._heard_ns)
        if now_ns - max(heard_ns, self._asked_ns) < self._wait_ns:
            return None
        grace_ns = self._grace_ns
        if now_ns - heard_ns <= 2 * grace_ns:
            return None
        self._asked_ns = now_ns
        self._wait_ns = min(2 * self._wait_ns, self._longest_ns)
        return Question(self._heard_ns + grace_ns, heard_ns + grace_ns, now_ns - grace_ns)

    def verdict(self, asked: Question, *, is_told_since: bool, is_told_before: bool) -> Verdict:
        """What the answer means: whether history has something of either time."""
        if is_told_since:
            return Verdict.MUTE
        lasted_ns = asked.until_ns - asked.since_ns + 2 * self._grace_ns
        if not is_told_before or lasted_ns >= self._longest_ns:
            return Verdict.QUIET
        return Verdict.UNKNOWN
