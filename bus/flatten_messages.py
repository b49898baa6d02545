"""What happens while positions are brought to zero at the word of an operator: events, all frozen.

`entry_id` is, in each, the id of the entry in control that asked for it: it tells one flatten from another.
"""

from decimal import Decimal
from typing import ClassVar

from bus.codec import Message


class FlattenBegun(Message, frozen=True, kw_only=True):
    """The open orders of a scope are being canceled, and its positions brought to zero after that.

    `orders` are those that were open, by client id, and `positions` what was held, by holder and symbol.
    `prices` are the last that were known of symbols in which holders stand against each other.
    """

    wire: ClassVar[str] = "FlattenBegun"
    entry_id: str
    scope: str
    reason: str
    by: str
    orders: tuple[str, ...]
    positions: dict[str, dict[str, Decimal]]
    prices: dict[str, Decimal]
    at_ns: int


class FlattenOutcome(Message, frozen=True, kw_only=True):
    """What came of flattening one symbol: what is `left`, and `why`; 0 and "" where it is flat."""

    symbol: str
    left: Decimal
    why: str = ""


class SymbolFlattenEnded(Message, frozen=True, kw_only=True):
    """Flattening is done with a symbol, whatever came of it."""

    wire: ClassVar[str] = "SymbolFlattenEnded"
    entry_id: str
    outcome: FlattenOutcome
    at_ns: int


class FlattenEnded(Message, frozen=True, kw_only=True):
    """Flattening is done with every symbol of its scope, and orders are taken there again."""

    wire: ClassVar[str] = "FlattenEnded"
    entry_id: str
    scope: str
    outcomes: tuple[FlattenOutcome, ...]
    at_ns: int
