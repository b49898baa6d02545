"""What the OMS asks of a broker, and what may come back: an order, a definite no, or nobody knows."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from bus.errors import BackboneError
from bus.order_messages import OrderTerms, Reason
from oms.risk import Approved

# Alpaca answers an order in tens of milliseconds; after this long the answer is taken for lost.
SEND_TIMEOUT_S = 5.0


class BrokerError(BackboneError):
    """What a broker may answer instead of doing what it was asked."""


class BrokerRefused(BrokerError):
    """A definite no: nothing was carried out. `code` is the broker's own."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"the broker refused: {message} ({code})")
        self.code = code
        self.message = message


class IdConflict(BrokerRefused):
    """The broker has another order under this client id."""


class KeysRefused(BrokerRefused):
    """The broker does not accept the keys."""


class NotPermitted(BrokerError):
    """Not sent: permission was withdrawn between approval and sending."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


class BrokerUnreachable(BrokerError):
    """No connection to the broker, and nothing was sent."""


class RateLimited(BrokerError):
    """Too many requests: this one was not carried out, and may be tried again later."""


class OutcomeUnknown(BrokerError):
    """The request went out and its outcome is not known. Look for it; never send it again."""


@dataclass(frozen=True, slots=True)
class BrokerOrder:
    """An order as the broker has it; `status` is the broker's word."""

    id: str
    client_order_id: str
    symbol: str
    side: str
    type: str
    time_in_force: str
    status: str
    quantity: Decimal | None
    notional: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    filled_quantity: Decimal
    filled_average_price: Decimal | None
    replaces: str | None = None
    replaced_by: str | None = None
    extended_hours: bool = False


@dataclass(frozen=True, slots=True)
class BrokerPosition:
    """A position as the broker has it: signed quantity and what it cost on average."""

    symbol: str
    quantity: Decimal
    average_price: Decimal


@dataclass(frozen=True, slots=True)
class BrokerAccount:
    """The account's money."""

    cash: Decimal
    equity: Decimal
    buying_power: Decimal


# Called in the sending thread directly before the request goes out; raises NotPermitted.
BeforeSend = Callable[[], None]


class Broker(Protocol):
    """Blocking calls, made from threads; each is bounded in time.

    All raise BrokerRefused, BrokerUnreachable, RateLimited (nothing was carried out) or OutcomeUnknown.
    """

    def submit(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """Send a new order once. Raises NotPermitted where `before_send` says so, IdConflict."""
        ...

    def replace(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """Send once that an approved order takes the place of the one it names."""
        ...

    def cancel(self, broker_order_id: str) -> None:
        """Ask for a cancel; that it happened is heard later. Asking twice does no harm."""
        ...

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """The order of this client id, or None where the broker knows none."""
        ...

    def open_orders(self) -> list[BrokerOrder]:
        """Every order that may still be filled."""
        ...

    def recent_orders(self, since_ns: int) -> list[BrokerOrder]:
        """Every order submitted after this time, whatever became of it."""
        ...

    def positions(self) -> list[BrokerPosition]:
        """Every position of the account."""
        ...

    def account(self) -> BrokerAccount:
        """The account's money."""
        ...

    def count_lookups(self, counted: Callable[[], None]) -> None:
        """Have `counted` called, from any thread, for each request beyond the one that was asked for."""
        ...

    def close(self) -> None:
        """End what threads wait for inside; calls under way end with OutcomeUnknown at the latest."""
        ...


def same_order(terms: OrderTerms, found: BrokerOrder) -> bool:
    """Whether the broker's order is the one with these terms: symbol, side, quantity and prices compared."""
    return (
        terms.symbol.replace("/", "") == found.symbol.replace("/", "")
        and terms.side == found.side
        and (found.quantity == terms.quantity if terms.notional is None else found.notional == terms.notional)
        and terms.limit_price in (None, found.limit_price)
        and terms.stop_price in (None, found.stop_price)
    )
