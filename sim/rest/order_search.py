"""Selects the orders that a query asks for, and lists them flat or with legs inside their parents."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sim import refusals
from sim.broker.orders import Order, order_json
from sim.exchange.assets import Assets
from sim.refusals import malformed
from sim.rest import trading_query as asked
from sim.rest.trading_query import Query

DEFAULT_LIMIT = 50
MOST = 500
ASSET_CLASSES = (
    "us_equity", "us_option", "crypto", "crypto_perp", "treasury", "corporate", "global_equity", "us_index",
    "us_equity_chain", "ipo", "all",
)  # fmt: skip

Test = Callable[[Order], bool]


def search(
    orders: Mapping[str, Order], open_orders: Sequence[Order], query: Query, assets: Assets
) -> list[dict[str, Any]]:
    """Return the orders as GET /v2/orders answers. Raises Refused where the query is invalid.

    `orders` are all of the account, by id, and `open_orders` the open ones, both first sent first. Nested, a
    parent is listed where it or one of its legs is asked for, with all of its legs.
    """
    nested = asked.truth(query, "nested")
    limit = asked.count(query, "limit", DEFAULT_LIMIT, MOST)
    is_ascending = asked.one_of(query, "direction", ("asc", "desc"), "desc") == "asc"
    status = asked.one_of(query, "status", ("open", "closed", "all"), "open")
    tests = _tests(query, status, assets)
    chosen = list(open_orders) if status == "open" else list(orders.values())
    if nested and status == "open":
        # Of one with open legs the entry may have ended.
        chosen = sorted({one.id: one for one in map(_entry, chosen)}.values(), key=_sent_ns)
    chosen = _within(chosen, orders, query)
    if nested and status != "open":
        # Every entry is among all orders; an account may have many thousands outside of the times.
        chosen = [one for one in chosen if _entry(one) is one]
    found = (
        one
        for one in (chosen if is_ascending else reversed(chosen))
        if _any_matches([one, *one.legs] if nested else [one], tests)
    )
    return [order_json(order, nested) for order in itertools.islice(found, limit)]


def order_id(text: str) -> str:
    """Return an order's id in canonical form. Raises Refused (422) where it cannot be one."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise malformed("order_id is missing") from error


def _any_matches(orders: Sequence[Order], tests: Sequence[Test]) -> bool:
    return any(all(test(order) for test in tests) for order in orders)


def _tests(query: Query, status: str, assets: Assets) -> list[Test]:
    tests: list[Test] = []
    if status != "all":
        tests.append(lambda order: order.is_open == (status == "open"))
    side = asked.one_of(query, "side", ("buy", "sell"), "")
    if side:
        tests.append(lambda order: order.ticket.side == side)
    symbols = {_symbol(name, assets) for name in asked.several(query, "symbols")}
    if symbols:
        tests.append(lambda order: order.ticket.asset.symbol in symbols)
    classes = asked.several(query, "asset_class", ASSET_CLASSES)
    if classes and "all" not in classes:
        tests.append(lambda order: order.ticket.asset.asset_class in classes)
    return tests


def _symbol(name: str, assets: Assets) -> str:
    """Return the asset's symbol; a pair may lack its slash, and an unknown symbol matches nothing."""
    asset = assets.find(name)
    return name if asset is None else asset.symbol


def _entry(order: Order) -> Order:
    """Return the entry that shows the order when nested: its parent, or itself where it was replaced."""
    is_inside = order.parent is not None and order in order.parent.legs
    return order.parent if order.parent is not None and is_inside else order


def _sent_ns(order: Order) -> int:
    return order.sent_ns


def _within(chosen: list[Order], orders: Mapping[str, Order], query: Query) -> list[Order]:
    """Return the orders between moments, or before or after one of the account's, all exclusive."""
    before, after = query.get("before_order_id"), query.get("after_order_id")
    after_ns, until_ns = asked.moment_ns(query, "after"), asked.moment_ns(query, "until")
    if before and after:
        raise malformed("only one of before_order_id and after_order_id is allowed")
    if (before or after) and (after_ns is not None or until_ns is not None):
        raise malformed("before_order_id and after_order_id cannot be used with after or until")
    if before or after:
        named = order_id(before or after or "")
        if named not in orders:
            raise refusals.not_found(f"order not found for {named}")
        return _beside(chosen, orders, named, is_before=bool(before))
    begin = 0 if after_ns is None else bisect_right(chosen, after_ns, key=_sent_ns)
    end = len(chosen) if until_ns is None else bisect_left(chosen, until_ns, key=_sent_ns)
    return chosen[begin:end]


def _beside(chosen: list[Order], orders: Mapping[str, Order], named: str, is_before: bool) -> list[Order]:
    """Return the orders taken before or after an order, by sequence: several may share a time."""
    places = {one: place for place, one in enumerate(orders)}
    place = places[named]
    if is_before:
        return [one for one in chosen if places[one.id] < place]
    return [one for one in chosen if places[one.id] > place]
