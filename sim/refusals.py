"""Alpaca's refusals: the HTTP status, the code, the words, and the fields beside them."""

from decimal import Decimal
from typing import Any

from sim.amounts import cents, plain


class Refused(Exception):
    """A refusal; `body` is the JSON of the answer."""

    def __init__(self, status: int, code: int | None, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = (
            {"message": message} if code is None else {"code": code, "message": message}
        )
        self.body |= fields


def invalid(message: str, **fields: Any) -> Refused:
    """422: the request contradicts a rule."""
    return Refused(422, 42210000, message, **fields)


def malformed(message: str) -> Refused:
    """422: the request cannot be understood."""
    return Refused(422, 40010001, message)


def forbidden(message: str, **fields: Any) -> Refused:
    """403: the account or the asset does not allow it; all share one code, so the words tell which."""
    return Refused(403, 40310000, message, **fields)


def not_found(message: str) -> Refused:
    """404: it does not exist."""
    return Refused(404, 40410000, message)


def buying_power(available: Decimal, cost: Decimal) -> Refused:
    """403: it costs more than the buying power."""
    return forbidden("insufficient buying power", buying_power=cents(available), cost_basis=plain(cost))


def balance(currency: str, requested: Decimal, available: Decimal, held: Decimal, quoted_in: str) -> Refused:
    """403: a crypto order costs more of a currency than is free; `symbol` is the pair's quote currency."""
    words = (
        f"insufficient balance for {currency} (requested: {plain(requested)}, available: {plain(available)})"
    )
    return forbidden(words, available=plain(available), balance=plain(held), symbol=quoted_in)


def quantity(
    symbol: str, requested: Decimal, existing: Decimal, held: Decimal, related: list[str]
) -> Refused:
    """403: it closes more than is held and not reserved."""
    available = existing - held
    fields: dict[str, Any] = {
        "available": plain(available),
        "existing_qty": plain(existing),
        "held_for_orders": plain(held),
        "symbol": symbol,
    }
    if related:
        fields["related_orders"] = related
    words = (
        f"insufficient qty available for order (requested: {plain(requested)}, available: {plain(available)})"
    )
    return forbidden(words, **fields)


def wash_trade(existing_order_id: str, reason: str) -> Refused:
    """403: it could trade with another order of the same account."""
    return forbidden(
        "potential wash trade detected. use complex orders",
        existing_order_id=existing_order_id,
        reject_reason=reason,
    )
