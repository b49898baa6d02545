"""What waits in a market feed's buffer until it is written. Pure."""

from dataclasses import dataclass
from typing import Protocol

from bus.market_batch import MarketBatch
from ingest.frames import Kept


class Source(Protocol):
    """The feed that a frame came from: what its entries call it, and the channels wanted of all symbols."""

    name: str
    wildcards: frozenset[str]


@dataclass(frozen=True, slots=True)
class PassedOver:
    """What is kept of a frame that was not taken, and when it came."""

    feed: str
    received_ns: int
    kept: Kept


# A frame with its feed and the time of its arrival (ns); a gap marker; a frame that was too long; or None,
# asking for acknowledgements.
Item = tuple[Source, int, bytes] | MarketBatch | PassedOver | None
