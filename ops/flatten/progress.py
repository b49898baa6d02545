"""What is known of a flatten while it goes on: symbols that are done, and how far the others are. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from bus.codec import Message
from bus.flatten_messages import FlattenBegun, FlattenEnded, FlattenOutcome, SymbolFlattenEnded
from bus.order_events import OrderApproved, OrderFilled, OrderRefused, OrderSent, OrderUpdated
from bus.order_messages import OrderTerms
from oms.book.orders import TERMINAL
from ops.message_lines import number, outcome


@dataclass(slots=True)
class Progress:
    """Follows the journal of one flatten. Mutable: everything but `begun`, by `take`.

    `orders` are its own that have not ended, by client id: the terms, how much is filled, the broker's word.
    `canceling` are those of before that have not.
    """

    begun: FlattenBegun
    canceling: set[str] = field(default_factory=set)
    orders: dict[str, tuple[OrderTerms, Decimal, str]] = field(default_factory=dict)
    outcomes: dict[str, FlattenOutcome] = field(default_factory=dict)
    ended: bool = False

    def __post_init__(self) -> None:
        """All that was open is being canceled."""
        self.canceling = set(self.begun.orders)

    @property
    def flat(self) -> bool:
        """Whether it has ended and left nothing."""
        return self.ended and not any(one.left for one in self.outcomes.values())

    def take(self, events: Iterable[Message]) -> list[str]:
        """Take in what the journal says next; returns a line for each symbol that is done."""
        lines = []
        for event in events:
            match event:
                case SymbolFlattenEnded() if event.entry_id == self.begun.entry_id:
                    self.outcomes[event.outcome.symbol] = event.outcome
                    lines.append(outcome(event.outcome))
                case FlattenEnded() if event.entry_id == self.begun.entry_id:
                    self.ended = True
                case OrderApproved() if event.trigger == f"flatten {self.begun.entry_id}":
                    self.orders[event.client_order_id] = (event.terms, Decimal(0), "not sent yet")
                case OrderSent():
                    self._say(event.client_order_id, "at the broker")
                case OrderRefused():
                    self._end(event.client_order_id)
                case OrderUpdated() | OrderFilled():
                    self._say(event.client_order_id, event.status, event.filled_quantity)
                    if event.status in TERMINAL:
                        self._end(event.client_order_id)
        return lines

    def under_way(self) -> list[str]:
        """A line for each order that it waits for."""
        lines = [
            f"{terms.symbol}: {terms.side} {number(terms.quantity)} at the market is {said}"
            + (f", {number(filled)} filled" if filled else "")
            for terms, filled, said in self.orders.values()
        ]
        return [*(f"still open, its cancel was asked for: {one}" for one in sorted(self.canceling)), *lines]

    def _say(self, order_id: str, status: str, filled: Decimal = Decimal(0)) -> None:
        if order_id in self.orders:
            terms, before, _ = self.orders[order_id]
            self.orders[order_id] = terms, max(before, filled), status

    def _end(self, order_id: str) -> None:
        self.canceling.discard(order_id)
        self.orders.pop(order_id, None)
