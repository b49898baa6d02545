"""What is known again after a restart of flattens that are under way. Pure."""

from dataclasses import dataclass, field

from bus.account_messages import OrdersCanceled
from bus.codec import Message
from bus.flatten_messages import FlattenBegun, FlattenEnded, FlattenOutcome, SymbolFlattenEnded
from bus.halt_state import covers
from bus.order_events import OrderApproved, OrderRefused

# The trigger of an order that flattens begins with this, and goes on with the id of the entry in control.
_TRIGGER = "flatten "


def trigger_of(entry_id: str) -> str:
    """What the orders of a flatten have for their trigger."""
    return f"{_TRIGGER}{entry_id}"


@dataclass(slots=True)
class Flatten:
    """One flatten. Mutable, all but `begun`, by `apply`.

    `orders` are its own by symbol, by client id and oldest first; `refusals` what the OMS or the broker had
    against them; `cancels` what operators had canceled since it began; `outcomes` of the symbols that it is
    done with.
    """

    begun: FlattenBegun
    orders: dict[str, list[str]] = field(default_factory=dict)
    refusals: dict[str, OrderRefused] = field(default_factory=dict)
    cancels: list[OrdersCanceled] = field(default_factory=list)
    outcomes: dict[str, FlattenOutcome] = field(default_factory=dict)

    @property
    def of_one_algorithm(self) -> bool:
        """Whether others may go on holding the same symbols."""
        return self.begun.scope.startswith("algorithm:")


class Flattens:
    """Those under way, by the id of their entry in control. Mutable, by `apply`."""

    def __init__(self) -> None:
        self.under_way: dict[str, Flatten] = {}

    def apply(self, event: Message) -> None:
        """Take in one event of the journal, of whatever kind."""
        match event:
            case FlattenBegun():
                self.under_way.setdefault(event.entry_id, Flatten(event))
            case FlattenEnded():
                self.under_way.pop(event.entry_id, None)
            case SymbolFlattenEnded():
                if flatten := self.under_way.get(event.entry_id):
                    flatten.outcomes[event.outcome.symbol] = event.outcome
            case OrderApproved() if event.trigger.startswith(_TRIGGER):
                if flatten := self.under_way.get(event.trigger.removeprefix(_TRIGGER)):
                    flatten.orders.setdefault(event.terms.symbol, []).append(event.client_order_id)
            case OrdersCanceled():
                for flatten in self.under_way.values():
                    flatten.cancels.append(event)
            case OrderRefused():
                for flatten in self.under_way.values():
                    if any(event.client_order_id in orders for orders in flatten.orders.values()):
                        flatten.refusals[event.client_order_id] = event

    def own(self, client_order_id: str) -> bool:
        """Whether an order is one with which a flatten closes positions."""
        return any(
            client_order_id in orders
            for flatten in self.under_way.values()
            for orders in flatten.orders.values()
        )

    def covering(self, account: str, algorithm: str, symbol: str) -> Flatten | None:
        """A flatten that an order of this algorithm in this symbol would run into, if any."""
        found = self.under_way.values()
        return next((one for one in found if covers(one.begun.scope, account, algorithm, symbol)), None)

    def comparable(self) -> list[object]:
        """All that tells two of these apart."""
        return [
            (
                flatten.begun,
                sorted(flatten.orders.items()),
                sorted(flatten.refusals.items()),
                flatten.cancels,
                sorted(flatten.outcomes.items()),
            )
            for _, flatten in sorted(self.under_way.items())
        ]
