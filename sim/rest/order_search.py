"""Which orders a query asks for, and how they are listed: each on its own, or legs inside their parents."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sim import refusals
from sim.broker.orders import Order, order_json
from sim.exchange.assets import Assets
from sim.refusals import malformed
from sim.rest import query as asked
from sim.rest.query import Query

DEFAULT_LIMIT = 50
MOST = 500
ASSET_CLASSES = (
    "us_equity", "us_option", "crypto", "crypto_perp", "treasury", "corporate", "global_equity", "us_index",
    "us_equity_chain", "ipo", "all",
)  # fmt: skip

Test = Callable[[Order], bool]


def search(orders: Mapping[str, Order], query: Query, assets: Assets) -> list[dict[str, Any]]:
    """The orders as GET /v2/orders answers; raises Refused where the query makes no sense.

    `orders` are all of the account, by id, oldest first. Nested, a parent is listed where it or one of its
    legs is asked for, with all of its legs.
    """
    tests = _tests(query, assets)
    nested = asked.truth(query, "nested")
    limit = asked.whole(query, "limit", DEFAULT_LIMIT, 1, MOST)
    is_ascending = asked.one_of(query, "direction", ("asc", "desc"), "desc") == "asc"
    chosen = _between(list(orders.values()), orders, query)
    if nested:
        found = [one for one in chosen if one.parent is None and _any_matches([one, *one.legs], tests)]
    else:
        found = [one for one in chosen if _any_matches([one], tests)]
    if not is_ascending:
        found.reverse()
    return [order_json(order, nested) for order in found[:limit]]


def order_id(text: str) -> str:
    """An order's id in its one form; raises Refused (422) where it cannot be one."""
    try:
        return str(UUID(text))
    except ValueError as error:
        raise malformed("order_id is missing") from error


def _any_matches(orders: Sequence[Order], tests: Sequence[Test]) -> bool:
    return any(all(test(order) for test in tests) for order in orders)


def _tests(query: Query, assets: Assets) -> list[Test]:
    tests: list[Test] = []
    status = asked.one_of(query, "status", ("open", "closed", "all"), "open")
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
    after_ns, until_ns = asked.moment_ns(query, "after"), asked.moment_ns(query, "until")
    if after_ns is not None:
        tests.append(lambda order: order.created_ns > after_ns)
    if until_ns is not None:
        tests.append(lambda order: order.created_ns < until_ns)
    return tests


def _symbol(name: str, assets: Assets) -> str:
    """A pair may be named without its slash; what nobody knows matches nothing."""
    asset = assets.find(name)
    return name if asset is None else asset.symbol


def _between(chosen: list[Order], orders: Mapping[str, Order], query: Query) -> list[Order]:
    """Only the orders before or after one of the account's, which is left out itself."""
    before, after = query.get("before_order_id"), query.get("after_order_id")
    if not before and not after:
        return chosen
    if before and after:
        raise malformed("only one of before_order_id and after_order_id is allowed")
    if query.get("after") or query.get("until"):
        raise malformed("before_order_id and after_order_id cannot be used with after or until")
    named = order_id(before or after or "")
    if named not in orders:
        raise refusals.not_found(f"order not found for {named}")
    place = chosen.index(orders[named])
    return chosen[:place] if before else chosen[place + 1 :]
