"""What an algorithm is told besides market data and its orders: gaps and timers."""

from typing import Literal

import msgspec


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Market data is missing here.

    `opened`: the feed broke, and what follows may miss messages since `since_ns`. `closed`: it was back at
    `until_ns`, and nothing more will come of what was missed in between: `backfilled` messages of it were
    found in history and came before this, or, where that took too long, stand in the stream `history`; None
    where there is no history. `trimmed`: entries that this algorithm had yet to handle were cut from the
    stream, because it was too far behind.
    """

    symbol: str
    channel: str
    kind: Literal["opened", "closed", "trimmed"]
    since_ns: int
    until_ns: int | None = None
    reason: str = ""
    backfilled: int | None = None
    history: str = ""


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """A timer of `Algorithm.every` is due; `scheduled_ns` is a whole multiple of its period since 1970."""

    name: str
    scheduled_ns: int
