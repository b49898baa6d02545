"""What happens to a journal itself: events in the past tense, all frozen.

Times are nanoseconds since 1970-01-01 UTC.
"""

from typing import ClassVar

from bus.codec import Message


class ChainBegun(Message, frozen=True, kw_only=True):
    """The chain of hashes covers all that stands before this entry as it stands there now.

    It follows the entries of an earlier release, which had no hashes, and stands wherever somebody took a
    journal as it is although its chain was broken. `after_id` is the entry before this one.
    """

    wire: ClassVar[str] = "ChainBegun"
    after_id: str
    reason: str
    by: str
    at_ns: int


class OrdersPutAway(Message, frozen=True, kw_only=True):
    """A trading day began: orders that had ended when the one before began leave the OMS's memory.

    Their ids are known on. `kept` are client ids of some that stay, since something is to happen with them.
    """

    wire: ClassVar[str] = "OrdersPutAway"
    day: str
    kept: tuple[str, ...]
    at_ns: int


class JournalForked(Message, frozen=True, kw_only=True):
    """Entries that had been written are gone: the server lost them, or is a copy of before.

    What is known to be missing are entries after `after_id` up to `until_id`, whose hash was `until_hash`.
    """

    wire: ClassVar[str] = "JournalForked"
    after_id: str
    until_id: str
    until_hash: str
    at_ns: int
