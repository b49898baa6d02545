"""The terms of every market-data connection: the plan, and how frames are sent."""

from dataclasses import dataclass

from sim.streams.outgoing import MOST_BYTES


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a run.

    `frame_messages` makes every frame of exactly so many messages. `symbol_limit` is that of the plan, as
    `is_free` is. A client for which more than `most_waiting_bytes` wait is slow.
    """

    frame_messages: int | None = None
    symbol_limit: int | None = None
    is_free: bool = False
    auth_seconds: float = 10.0
    compresses: bool = True
    most_waiting_bytes: int = MOST_BYTES
