"""Orders over REST: submit, look up, list, replace, cancel."""

from typing import Any

from aiohttp import web

from sim import refusals
from sim.accounts.desk import Desk, Desks
from sim.broker import order_rules, replace_rules
from sim.broker.order_requests import OrderRequest, ReplaceRequest
from sim.broker.orders import Order, order_json
from sim.refusals import Refused
from sim.rest.door import ACCOUNT, answer, body_as
from sim.rest.order_search import order_id, search
from sim.rest.trading_query import truth


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
        taken = order_json(order, nested=True)
        await desk.let_updates_lead(order)
        return answer(taken)

    async def by_id(self, request: web.Request) -> web.Response:
        """GET /v2/orders/{id}: with its legs inside, if `nested`."""
        desk = self._desks.of(request[ACCOUNT])
        order = desk.brokerage.find(order_id(request.match_info["order_id"]))
        return answer(order_json(order, truth(request.query, "nested")))

    async def by_client_id(self, request: web.Request) -> web.Response:
        """GET /v2/orders:by_client_order_id."""
        desk = self._desks.of(request[ACCOUNT])
        client_order_id = request.query.get("client_order_id")
        if not client_order_id:
            raise refusals.malformed("client_order_id is required")
        order = desk.brokerage.find_by_client_id(client_order_id)
        return answer(order_json(order, truth(request.query, "nested")))

    async def search(self, request: web.Request) -> web.Response:
        """GET /v2/orders with its filters."""
        desk = self._desks.of(request[ACCOUNT])
        brokerage = desk.brokerage
        return answer(search(brokerage.orders, brokerage.open_orders(), request.query, desk.assets))

    async def replace(self, request: web.Request) -> web.Response:
        """PATCH /v2/orders/{id}: a new order takes the place of the old."""
        desk = self._desks.of(request[ACCOUNT])
        old = desk.brokerage.find(order_id(request.match_info["order_id"]))
        wanted = body_as(ReplaceRequest, await request.read())
        desk.hasten(old.id)  # what is left of it must be known first
        replace_rules.check_replaceable(old)
        order = await desk.replace(old.id, replace_rules.replaced(old, wanted, desk.new_id()))
        taken = order_json(order, nested=True)
        await desk.let_updates_lead(order)
        return answer(taken)

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE /v2/orders/{id}: 204."""
        desk = self._desks.of(request[ACCOUNT])
        await desk.cancel(order_id(request.match_info["order_id"]))
        await desk.let_updates_lead()
        return web.Response(status=204)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/orders: 207 and one line for each order, 500 for one that is over already."""
        desk = self._desks.of(request[ACCOUNT])
        done = [await _canceled(desk, order) for order in desk.brokerage.open_orders()]
        await desk.let_updates_lead()
        return answer(done, 207)


async def _canceled(desk: Desk, order: Order) -> dict[str, Any]:
    """The line of one order; another of its group may have taken it along."""
    try:
        if order.status != "canceled":
            await desk.cancel(order.id)
    except Refused as refused:
        return {"id": order.id, "status": 500, "body": refused.body}
    return {"id": order.id, "status": 200}
