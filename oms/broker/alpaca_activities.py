"""Alpaca's account activities that are no trades, read tolerantly. Pure."""

from decimal import Decimal
from typing import Any

import msgspec

from bus.errors import Unreadable
from bus.symbols import canonical_symbol
from oms.amounts import ZERO
from oms.broker.alpaca_orders import is_countable
from oms.broker.protocol import BrokerActivity

# Types of which the quantity is what the position changes by: securities that were journaled, or transferred
# from or to another broker. Of others it is what was counted, such as the shares that a dividend is paid on.
_MOVES_POSITION = frozenset({"ACATS", "JNLS"})

# The fees of pairs are taken with each execution, and listed at the end of the day: they are booked already.
_COIN_FEE = "CFEE"
_DOLLAR_FEE_OF_COINS = "coin pair transaction fee"


class _Activity(msgspec.Struct, frozen=True):
    id: str
    activity_type: str
    net_amount: Decimal | None = None
    symbol: str | None = None
    qty: Decimal | None = None
    price: Decimal | None = None
    side: str | None = None
    description: str | None = None
    status: str = "executed"


def read_activities(raw: Any) -> list[BrokerActivity]:
    """The activities of a REST answer; one that cannot be read moves nothing, and says why.

    What it moved shows as a difference. Raises Unreadable where the answer is no list.
    """
    if not isinstance(raw, list):
        raise Unreadable("activities of Alpaca's are no list")
    return [_read(one) for one in raw]


def _read(raw: Any) -> BrokerActivity:
    try:
        return _activity(msgspec.convert(raw, _Activity, strict=False))
    except (msgspec.ValidationError, Unreadable) as error:
        said = raw if isinstance(raw, dict) else {}
        activity_id, kind = (str(said.get(name) or "")[:128] for name in ("id", "activity_type"))
        return BrokerActivity(activity_id, kind, "", ZERO, None, ZERO, "", str(error))


def _activity(one: _Activity) -> BrokerActivity:
    for name in ("net_amount", "qty", "price"):
        value: Decimal | None = getattr(one, name)
        if value is not None and not is_countable(value):
            raise Unreadable(f"its {name} is {str(value)[:64]}")
    description = one.description or ""
    booked_before = one.activity_type == _COIN_FEE or _DOLLAR_FEE_OF_COINS in description.lower()
    void = one.status == "canceled" or booked_before
    moves = one.activity_type in _MOVES_POSITION and bool(one.symbol)
    return BrokerActivity(
        id=one.id,
        type=one.activity_type,
        symbol=canonical_symbol(one.symbol or ""),
        quantity=(one.qty or ZERO) if moves and not void else ZERO,
        price=one.price,
        cash=ZERO if void else one.net_amount or ZERO,
        description=description,
    )
