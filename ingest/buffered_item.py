"""What waits in a market feed's buffer until it is written. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from bus.market_batch import MarketBatch
from ingest.frames import Kept


class Source(Protocol):
    """The feed that a frame came from: what its entries call it, and the channels wanted of all symbols.

    `heard` are the streams that those brought.
    """

    name: str
    wildcards: frozenset[str]
    heard: set[str]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What is kept of a frame that was not taken, and when it came."""

    feed: str
    received_ns: int
    kept: Kept


@dataclass(frozen=True, slots=True)
class Resumed:
    """These streams, each whole until its time (ns), are carried again since `until_ns`."""

    since_ns: Mapping[str, int]
    until_ns: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that was received here is lost: any stream that is carried, and these, may lack messages."""

    reason: str
    streams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """Something to do between two frames: what `write` returns is written, then `written` is called."""

    write: Callable[[], Iterable[MarketBatch]]
    written: Callable[[], None]


# A frame with its feed and the time of its arrival (ns); a gap marker; a frame that was too long; streams
# that are carried again; what is lost; a turn of whoever fills gaps; or None, asking for acknowledgements.
Item = tuple[Source, int, bytes] | MarketBatch | PassedOver | Resumed | Missing | Turn | None
