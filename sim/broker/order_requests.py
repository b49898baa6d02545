"""The bodies of POST and PATCH /v2/orders; numbers may be JSON numbers or strings."""

from decimal import Decimal

import msgspec


class TakeProfit(msgspec.Struct, frozen=True):
    """The leg that leaves the position with a profit."""

    limit_price: Decimal | None = None


class StopLoss(msgspec.Struct, frozen=True):
    """The leg that leaves the position with a loss; with a limit price it is a stop-limit order."""

    stop_price: Decimal | None = None
    limit_price: Decimal | None = None


class OrderRequest(msgspec.Struct, frozen=True):
    """The body of POST /v2/orders; `order_type` is the older name of `type`."""

    symbol: str | None = None
    qty: Decimal | None = None
    notional: Decimal | None = None
    side: str | None = None
    type: str | None = None
    order_type: str | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    trail_percent: Decimal | None = None
    client_order_id: str | None = None
    extended_hours: bool | None = None
    order_class: str | None = None
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None
    position_intent: str | None = None
    legs: object = None
    advanced_instructions: object = None


class ReplaceRequest(msgspec.Struct, frozen=True):
    """The body of PATCH /v2/orders/{id}; `trail` is a price or a percentage, as in the order."""

    qty: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail: Decimal | None = None
    time_in_force: str | None = None
    client_order_id: str | None = None
