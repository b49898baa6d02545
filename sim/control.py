"""The control endpoint, on loopback only: faults, the ledger, trades by hand, and the state of the run."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import orjson
from aiohttp import web

from bus.errors import InvalidInput
from sim.broker.ledger import ledger_json
from sim.broker.order_rules import MOST
from sim.broker.orders import Ticket
from sim.desk import Desk, now_ns
from sim.faults import faults
from sim.rest.door import answer


class TradeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /trades; without a price the trade happens at the quote in force."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal | None = None


class ControlRoutes:
    """The handlers; `disconnect` cuts a stream by name, `state` tells how the run stands."""

    def __init__(
        self, desk: Desk, disconnect: Callable[[str], None], state: Callable[[], dict[str, Any]]
    ) -> None:
        self._desk = desk
        self._disconnect = disconnect
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [
            web.get("/faults", self.list_faults),
            web.post("/faults", self.turn_on),
            web.delete("/faults", self.clear),
            web.get("/ledger", self.ledger),
            web.post("/trades", self.trade),
            web.get("/state", self.state),
        ]

    async def list_faults(self, request: web.Request) -> web.Response:
        """GET /faults: every kind with an example, and which are on."""
        kinds = [
            {"name": name, "example": kind.example, "explanation": kind.explanation}
            for name, kind in faults.KINDS.items()
        ]
        return answer({"faults": kinds, "active": self._desk.faults.active(now_ns())})

    async def turn_on(self, request: web.Request) -> web.Response:
        """POST /faults: begin one."""
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"the body is no JSON: {error}") from error
        fault = faults.parse(body)
        self._desk.faults.turn_on(fault, now_ns())
        if fault["fault"] == "disconnect":
            self._disconnect(fault["stream"])
        return answer({"on": fault})

    async def clear(self, request: web.Request) -> web.Response:
        """DELETE /faults: end them all."""
        self._desk.faults.clear()
        return answer({"faults": []})

    async def ledger(self, request: web.Request) -> web.Response:
        """GET /ledger."""
        brokerage = self._desk.brokerage
        return answer(ledger_json(brokerage.opening_cash, brokerage.orders.values(), brokerage.fills))

    async def trade(self, request: web.Request) -> web.Response:
        """POST /trades: an order by the account itself, filled at once, whatever the account allows."""
        try:
            wanted = msgspec.json.decode(await request.read(), type=TradeRequest)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"a trade is {{symbol, side, qty[, price]}}: {error}") from error
        ticket, price = self._by_hand(wanted)
        updates = self._desk.brokerage.trade_by_hand(ticket, price, now_ns())
        asyncio.get_running_loop().call_soon(self._desk.updates.publish, updates)
        return answer({"order": updates[-1].order})

    async def state(self, request: web.Request) -> web.Response:
        """GET /state."""
        return answer(self._state())

    def _by_hand(self, wanted: TradeRequest) -> tuple[Ticket, Decimal]:
        asset = self._desk.assets.find(wanted.symbol)
        if asset is None:
            raise InvalidInput(f"symbol is {wanted.symbol!r}; allowed: a symbol of GET /v2/assets")
        if wanted.side not in ("buy", "sell"):
            raise InvalidInput(f"side is {wanted.side!r}; allowed: buy, sell")
        for name, amount in (("qty", wanted.qty), ("price", wanted.price)):
            if amount is not None and not (amount.is_finite() and 0 < amount <= MOST):
                raise InvalidInput(f"{name} is {amount}; allowed: more than 0, at most {MOST}")
        self._desk.venue.ensure_quoted(asset, now_ns())
        touch = self._desk.venue.market.touch(asset.symbol)
        quoted = None if touch is None else touch.ask if wanted.side == "buy" else touch.bid
        price = wanted.price if wanted.price is not None else quoted
        if price is None:
            raise InvalidInput(f"{asset.symbol} has no quote yet; give a price")
        time_in_force = "gtc" if asset.is_crypto else "day"
        ticket = Ticket(self._desk.new_id(), asset, wanted.side, "market", time_in_force, wanted.qty)
        return ticket, price


@web.middleware
async def say_what_is_wrong(
    request: web.Request, handler: Callable[[web.Request], Any]
) -> web.StreamResponse:
    """Bad input becomes 400 and its sentence."""
    try:
        response: web.StreamResponse = await handler(request)
    except InvalidInput as error:
        return answer({"message": str(error)}, 400)
    return response
