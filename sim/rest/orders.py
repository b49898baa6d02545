"""Orders over REST: submit, look up, list, replace, cancel."""

from typing import Any

from aiohttp import web

from sim import refusals
from sim.accounts.trading_account import TradingAccount, TradingAccounts
from sim.broker import order_rules, replace_rules
from sim.broker.order_requests import OrderRequest, ReplaceRequest
from sim.broker.orders import Order, order_json
from sim.refusals import Refused
from sim.rest.json_bodies import answer, body_as
from sim.rest.middleware import ACCOUNT
from sim.rest.order_search import order_id, search
from sim.rest.trading_query import truth


class OrderRoutes:
    """The handlers; each request is about the authenticated account."""

    def __init__(self, accounts: TradingAccounts) -> None:
        self._accounts = accounts

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
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
        account = self._accounts.of(request[ACCOUNT])
        wanted = body_as(OrderRequest, await request.read())
        ticket = order_rules.ticket(wanted, account.assets, account.new_id)
        order = await account.submit(ticket)
        taken = order_json(order, nested=True)
        await account.send_updates_first(order)
        return answer(taken)

    async def by_id(self, request: web.Request) -> web.Response:
        """GET /v2/orders/{id}: with its legs inside, if `nested`."""
        account = self._accounts.of(request[ACCOUNT])
        order = account.brokerage.find(order_id(request.match_info["order_id"]))
        return answer(order_json(order, truth(request.query, "nested")))

    async def by_client_id(self, request: web.Request) -> web.Response:
        """GET /v2/orders:by_client_order_id."""
        account = self._accounts.of(request[ACCOUNT])
        client_order_id = request.query.get("client_order_id")
        if not client_order_id:
            raise refusals.malformed("client_order_id is required")
        order = account.brokerage.find_by_client_id(client_order_id)
        return answer(order_json(order, truth(request.query, "nested")))

    async def search(self, request: web.Request) -> web.Response:
        """GET /v2/orders with its filters."""
        account = self._accounts.of(request[ACCOUNT])
        brokerage = account.brokerage
        return answer(search(brokerage.orders, brokerage.open_orders(), request.query, account.assets))

    async def replace(self, request: web.Request) -> web.Response:
        """PATCH /v2/orders/{id}: replace an open order by a new one."""
        account = self._accounts.of(request[ACCOUNT])
        old = account.brokerage.find(order_id(request.match_info["order_id"]))
        wanted = body_as(ReplaceRequest, await request.read())
        account.accept_now(old.id)  # it may fill by that, and then less of it is left to replace
        replace_rules.check_replaceable(old)
        order = await account.replace(old.id, replace_rules.replaced(old, wanted, account.new_id()))
        taken = order_json(order, nested=True)
        await account.send_updates_first(order)
        return answer(taken)

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE /v2/orders/{id}: 204."""
        account = self._accounts.of(request[ACCOUNT])
        await account.cancel(order_id(request.match_info["order_id"]))
        await account.send_updates_first()
        return web.Response(status=204)

    async def cancel_all(self, request: web.Request) -> web.Response:
        """DELETE /v2/orders: 207 and one line for each order, 500 for one that has ended already."""
        account = self._accounts.of(request[ACCOUNT])
        done = [await _canceled(account, order) for order in account.brokerage.open_orders()]
        await account.send_updates_first()
        return answer(done, 207)


async def _canceled(account: TradingAccount, order: Order) -> dict[str, Any]:
    """Return the line of one order; it may have been canceled with another of its group."""
    try:
        if order.status != "canceled":
            await account.cancel(order.id)
    except Refused as refused:
        return {"id": order.id, "status": 500, "body": refused.body}
    return {"id": order.id, "status": 200}
