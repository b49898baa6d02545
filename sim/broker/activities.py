"""Lists an account's activities: one for each fill, and what else changed the account, in order of time."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sim.amounts import plain
from sim.broker.movements import Movement
from sim.broker.updates import Update
from sim.exchange.hours import new_york
from sim.exchange.settlement import settlement_day
from sim.refusals import malformed
from sim.times import SECOND_NS, rfc3339

TRADE_TYPES = ("FILL",)
# Alpaca's names. Fills happen by themselves, the others when the control endpoint is asked for them.
OTHER_TYPES = (
    "ACATC", "ACATS", "CFEE", "CGD", "CIL", "CSD", "CSR", "CSW", "DIV", "DIVCGL", "DIVCGS", "DIVFEE", "DIVFT",
    "DIVNRA", "DIVROC", "DIVTW", "DIVTXEX", "DIVWH", "EXTRD", "FEE", "FOPT", "FXTRD", "INT", "INTNRA",
    "INTPNL", "INTTW", "JNL", "JNLC", "JNLS", "MA", "MEM", "MISC", "NC", "OCT", "OPASN", "OPCA", "OPCSH",
    "OPEXC", "OPEXP", "OPTRD", "OPXRC", "PTC", "PTR", "REORG", "SC", "SPIN", "SPLIT", "SSO", "SSP", "SWP",
    "TRANS", "VOF", "WH",
)  # fmt: skip
TYPES = (*TRADE_TYPES, *OTHER_TYPES)

_MICROSECOND_NS = 1_000


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity; `body` is what Alpaca shows."""

    id: str
    at_ns: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The activities asked for: between two times, both exclusive, and after the one that a page names."""

    types: frozenset[str]
    after_ns: int | None
    until_ns: int | None
    is_ascending: bool
    page_size: int
    page_token: str | None


class Activities:
    """Reads activities from an account's updates and its other movements, which grow meanwhile."""

    def __init__(self, history: Sequence[Update], movements: Sequence[Movement] = ()) -> None:
        self._history = history
        self._movements = movements
        self._read = 0
        self._read_movements = 0
        self._found: list[Activity] = []
        self._places: dict[str, int] = {}

    def select(self, wanted: Wanted) -> list[Activity]:
        """Return one page. Raises Refused (422) where the page's token is no activity of this account."""
        self._catch_up()
        found = self._found if wanted.is_ascending else self._found[::-1]
        begin = 0
        if wanted.page_token is not None:
            place = self._places.get(wanted.page_token)
            if place is None:
                raise malformed(f"invalid page_token {wanted.page_token}; allowed: the id of an activity")
            begin = place + 1 if wanted.is_ascending else len(found) - place
        within = (one for one in itertools.islice(found, begin, None) if _is_wanted(one, wanted))
        return list(itertools.islice(within, wanted.page_size))

    def _catch_up(self) -> None:
        news = [_activity(update) for update in self._history[self._read :] if update.fill is not None]
        news += [_movement(movement) for movement in self._movements[self._read_movements :]]
        self._read, self._read_movements = len(self._history), len(self._movements)
        for activity in sorted(news, key=lambda one: one.at_ns):
            self._places[activity.id] = len(self._found)
            self._found.append(activity)


def _is_wanted(activity: Activity, wanted: Wanted) -> bool:
    if activity.body["activity_type"] not in wanted.types:
        return False
    if wanted.after_ns is not None and activity.at_ns <= wanted.after_ns:
        return False
    return wanted.until_ns is None or activity.at_ns < wanted.until_ns


def _activity(update: Update) -> Activity:
    fill, order = update.fill, update.order
    assert fill is not None
    activity_id = f"{_prefix(fill.at_ns)}::{fill.id}"
    body = {
        "activity_type": "FILL",
        "id": activity_id,
        "order_id": fill.order_id,
        "order_status": order["status"],
        "type": "fill" if order["status"] == "filled" else "partial_fill",
        "symbol": fill.symbol,
        "side": fill.side,
        "price": plain(fill.price),
        "qty": plain(fill.qty),
        "cum_qty": order["filled_qty"],
        "leaves_qty": _left(order),
        "transaction_time": _microseconds(fill.at_ns),
    }
    return Activity(activity_id, fill.at_ns, body)


def _movement(movement: Movement) -> Activity:
    """Return what is no fill: it has a day of New York's, and no time."""
    activity_id = f"{_prefix(movement.at_ns)}::{movement.id}"
    body = {
        "activity_type": movement.type,
        "id": activity_id,
        "date": new_york(movement.at_ns).date().isoformat(),
        "net_amount": plain(movement.cash),
        "description": movement.description,
        "status": "executed",
    }
    if movement.symbol:
        # Pairs have no slash here, as in positions.
        body |= {"symbol": movement.symbol.replace("/", ""), "qty": plain(movement.qty)}
    if movement.price is not None:
        body["price"] = plain(movement.price)
    return Activity(activity_id, movement.at_ns, body)


def activity_event_json(update: Update) -> dict[str, Any]:
    """Return a fill as the stream of activities shows it; `update` must be a fill."""
    fill, order = update.fill, update.order
    assert fill is not None
    day = new_york(fill.at_ns).date()
    # Coins settle at once.
    settles = day if order["asset_class"] == "crypto" else settlement_day(day)
    return {
        "activity_type": "TRD",
        "ref_id": fill.id,
        "executed_at": _microseconds(fill.at_ns),
        "settle_date": settles.isoformat(),
        "status": "executed",
        "currency": "USD",
        "net_amount": plain(fill.cash_change),
        "price": plain(fill.price),
        "qty": plain(fill.qty),
        "details": {
            "order_id": fill.order_id,
            "client_order_id": order["client_order_id"],
            "asset_id": order["asset_id"],
            "symbol": fill.symbol,
            "side": fill.side,
            "cum_qty": order["filled_qty"],
            "leaves_qty": _left(order),
            "order_status": order["status"],
            "execution_type": "fill",
        },
    }


def _left(order: dict[str, Any]) -> str:
    """Return the quantity still to be filled; for an order by notional nothing is said."""
    if order["status"] == "filled" or order["qty"] is None:
        return "0"
    return plain(Decimal(order["qty"]) - Decimal(order["filled_qty"]))


def _prefix(at_ns: int) -> str:
    """Return New York's time to the millisecond, as ids recorded on a paper account begin."""
    return new_york(at_ns).strftime("%Y%m%d%H%M%S") + f"{at_ns % SECOND_NS // 1_000_000:03d}"


def _microseconds(at_ns: int) -> str:
    """Round a time to microseconds: recorded activities are coarser than the orders they belong to."""
    return rfc3339((at_ns + _MICROSECOND_NS // 2) // _MICROSECOND_NS * _MICROSECOND_NS)
