"""A trade update: one event of one order."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sim.broker.ledger import Fill


@dataclass(frozen=True, slots=True)
class Update:
    """One event of an order, with the order as it was then; a fill carries its fill."""

    event: str
    execution_id: str
    at_ns: int
    order: dict[str, Any]
    fill: Fill | None = None
    position_qty: Decimal | None = None
