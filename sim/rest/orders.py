"""Orders over REST: submit, look up, list, replace, cancel."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from aiohttp import web

from sim import refusals
from sim.broker import order_rules, replace_rules
from sim.broker.order_requests import OrderRequest, ReplaceRequest
from sim.broker.orders import Order, order_json
from sim.desk import Desks
from sim.rest.door import ACCOUNT, answer, body_as
from sim.times import parse_ns

DEFAULT_LIMIT = 50
MOST = 500


class OrderRoutes:
    """The handlers; each request is about the desk of its account."""

    def __init__(self, desks: Desks) -> None:
        self._desks = desks

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [
            web.post("/v2/orders", self.submit),
            web.get("/v2/orders", self.search),
            web.delete("/v2/orders", self.cancel_all),
            web.get("/v2/orders:by_client_order_id", self.by_client_id),
            web.get("/v2/orders/{order_id}", self.by_id),
            web.patch("/v2/orders/{order_id}", self.replace),
            web.delete("/v2/orders/{order_id}", self.cancel),
        ]

    async def submit(self, request: web.Request) -> web.Response:
        """POST /v2/orders: pending_new, or a refusal."""
        desk = self._desks.of(request[ACCOUNT])
        wanted = body_as(OrderRequest, await request.read())
        ticket = order_rules.ticket(wanted, desk.assets, desk.new_id)
        order = await desk.submit(ticket)
        taken = order_json(order)
        await desk.let_updates_lead(order)
        return answer(taken)

    async def by_id(self, request: web.Request) -> web.Response:
        """GET /v2/orders/{id}."""
        desk = self._desks.of(request[ACCOUNT])
        return answer(order_json(desk.brokerage.find(_order_id(request))))

    async def by_client_id(self, request: web.Request) -> web.Response:
        """GET /v2/orders:by_client_order_id."""
        desk = self._desks.of(request[ACCOUNT])
        client_order_id = request.query.get("client_order_id")
        if not client_order_id:
            raise refusals.malformed("client_order_id is required")
        return answer(order_json(desk.brokerage.find_by_client_id(client_order_id)))

    async def search(self, request: web.Request) -> web.Response:
        """GET /v2/orders with its filters."""
        desk = self._desks.of(request[ACCOUNT])
        chosen = select(list(desk.brokerage.orders.values()), dict(request.query))
        return answer([order_json(order) for order in chosen])

    async def replace(self, request: web.Request) -> web.Response:
        """PATCH /v2/orders/{id}: a new order takes the place of the old."""
        desk = self._desks.of(request[ACCOUNT])
        old = desk.brokerage.find(_order_id(request))
        wanted = body_as(ReplaceRequest, await request.read())
        replace_rules.check_replaceable(old)
        order = await desk.replace(old.id, replace_rules.replaced(old, wanted, desk.new_id()))
        taken = order_json(order)
        await desk.let_updates_lead(order)
        return answer(taken)

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE /v2/orders/{id}: 204."""
        desk = self._desks.of(request[ACCOUNT])
        await desk.cancel(_order_id(request))
        await desk.let_updates_lead()
        return web.Response(status=204)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/orders: 207 and one line for each order."""
        desk = self._desks.of(request[ACCOUNT])
        done: list[dict[str, Any]] = []
        for order in desk.brokerage.open_orders():
            await desk.cancel(order.id)
            done.append({"id": order.id, "status": 200})
        await desk.let_updates_lead()
        return answer(done, 207)


def _order_id(request: web.Request) -> str:
    text = request.match_info["order_id"]
    try:
        return str(UUID(text))
    except ValueError as error:
        raise refusals.malformed("order_id is missing") from error


def select(orders: list[Order], query: dict[str, str]) -> list[Order]:
    """The orders that a query asks for: status, side, symbols, after, until, direction, limit."""
    status = query.get("status", "open")
    if status not in ("open", "closed", "all"):
        raise refusals.invalid(f"invalid status {status}; allowed: open, closed, all")
    tests: list[Callable[[Order], bool]] = []
    if status != "all":
        tests.append(lambda order: order.is_open == (status == "open"))
    if "side" in query:
        tests.append(lambda order: order.ticket.side == query["side"])
    if query.get("symbols"):
        symbols = set(query["symbols"].split(","))
        tests.append(lambda order: order.ticket.asset.symbol in symbols)
    after_ns, until_ns = _moment(query, "after"), _moment(query, "until")
    if after_ns is not None:
        tests.append(lambda order: order.created_ns > after_ns)
    if until_ns is not None:
        tests.append(lambda order: order.created_ns < until_ns)
    chosen = [order for order in orders if all(test(order) for test in tests)]
    direction = query.get("direction", "desc")
    if direction not in ("asc", "desc"):
        raise refusals.invalid(f"invalid direction {direction}; allowed: asc, desc")
    if direction == "desc":
        chosen.reverse()
    return chosen[: _limit(query)]


def _limit(query: dict[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not text.isdecimal() or not 0 < int(text) <= MOST:
        raise refusals.invalid(f"invalid limit {text}; allowed: 1 to {MOST}")
    return int(text)


def _moment(query: dict[str, str], name: str) -> int | None:
    text = query.get(name)
    if not text:
        return None
    try:
        return parse_ns(text)
    except ValueError as error:
        raise refusals.invalid(f"invalid {name} {text}; allowed: RFC 3339, or a date") from error
