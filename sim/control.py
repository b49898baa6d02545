"""The control endpoint, on loopback only: faults, the ledger, trades by hand, and the state of the run."""

import asyncio
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import orjson
from aiohttp import web

from bus.errors import InvalidInput
from sim.broker.ledger import ledger_json
from sim.broker.order_rules import MOST
from sim.broker.orders import Ticket
from sim.clock import Clock, VirtualClock
from sim.desk import Desk, Desks
from sim.faults import faults as kinds
from sim.faults.faults import Faults
from sim.rest.door import answer
from sim.times import SECOND_NS, rfc3339

LONGEST_ADVANCE_S = 400 * 86_400


class TradeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /trades; without a price the trade happens at the quote in force."""

    symbol: str
    side: str
    qty: Decimal
    price: Decimal | None = None
    account: str | None = None


class AdvanceRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /clock."""

    seconds: Decimal


class ControlRoutes:
    """The handlers; `disconnect` cuts a stream by name, `state` tells how the run stands.

    What concerns an account takes its API key as `account`; without one it is the first account.
    """

    def __init__(
        self,
        desks: Desks,
        faults: Faults,
        clock: Clock,
        settle: Callable[[], Awaitable[None]],
        disconnect: Callable[[str], None],
        state: Callable[[], dict[str, Any]],
    ) -> None:
        self._desks = desks
        self._faults = faults
        self._clock = clock
        self._settle = settle
        self._disconnect = disconnect
        self._advancing = asyncio.Lock()
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
            web.get("/clock", self.time),
            web.post("/clock", self.advance),
        ]

    async def list_faults(self, request: web.Request) -> web.Response:
        """GET /faults: every kind with an example, and which are on."""
        known = [
            {"name": name, "example": kind.example, "explanation": kind.explanation}
            for name, kind in kinds.KINDS.items()
        ]
        return answer({"faults": known, "active": self._faults.active(self._clock.now_ns())})

    async def turn_on(self, request: web.Request) -> web.Response:
        """POST /faults: begin one."""
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"the body is no JSON: {error}") from error
        fault = kinds.parse(body)
        self._faults.turn_on(fault, self._clock.now_ns())
        if fault["fault"] == "disconnect":
            self._disconnect(fault["stream"])
        return answer({"on": fault})

    async def clear(self, request: web.Request) -> web.Response:
        """DELETE /faults: end them all."""
        self._faults.clear()
        return answer({"faults": []})

    async def ledger(self, request: web.Request) -> web.Response:
        """GET /ledger."""
        brokerage = self._desk(request.query.get("account")).brokerage
        return answer(ledger_json(brokerage.opening_cash, brokerage.orders.values(), brokerage.fills))

    async def trade(self, request: web.Request) -> web.Response:
        """POST /trades: an order by the account itself, filled at once, whatever the account allows."""
        try:
            wanted = msgspec.json.decode(await request.read(), type=TradeRequest)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"a trade is {{symbol, side, qty[, price]}}: {error}") from error
        desk, now_ns = self._desk(wanted.account), self._clock.now_ns()
        ticket, price = _by_hand(desk, wanted, now_ns)
        updates = desk.brokerage.trade_by_hand(ticket, price, now_ns)
        desk.clock.call_at(now_ns, lambda: desk.publish(updates))
        return answer({"order": updates[-1].order})

    async def state(self, request: web.Request) -> web.Response:
        """GET /state."""
        return answer(self._state())

    async def time(self, request: web.Request) -> web.Response:
        """GET /clock."""
        now_ns = self._clock.now_ns()
        return answer({"now": rfc3339(now_ns), "is_virtual": isinstance(self._clock, VirtualClock)})

    async def advance(self, request: web.Request) -> web.Response:
        """POST /clock: let virtual time pass; answers when everything due on the way has happened."""
        try:
            wanted = msgspec.json.decode(await request.read(), type=AdvanceRequest)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"an advance is {{seconds}}: {error}") from error
        if not isinstance(self._clock, VirtualClock):
            raise InvalidInput("the clock is the wall's, which cannot be advanced; start with --virtual-time")
        if not 0 <= wanted.seconds <= LONGEST_ADVANCE_S:
            raise InvalidInput(f"seconds is {wanted.seconds}; allowed: 0 to {LONGEST_ADVANCE_S}")
        async with self._advancing:
            until_ns = self._clock.now_ns() + int(wanted.seconds * SECOND_NS)
            await self._clock.advance(until_ns, self._settle)
        return await self.time(request)

    def _desk(self, account: str | None) -> Desk:
        desk = self._desks.first if account is None else self._desks.find(account)
        if desk is None:
            raise InvalidInput("account is unknown; allowed: the API key of an account of this simulator")
        return desk


def _by_hand(desk: Desk, wanted: TradeRequest, now_ns: int) -> tuple[Ticket, Decimal]:
    asset = desk.assets.find(wanted.symbol)
    if asset is None:
        raise InvalidInput(f"symbol is {wanted.symbol!r}; allowed: a symbol of GET /v2/assets")
    if wanted.side not in ("buy", "sell"):
        raise InvalidInput(f"side is {wanted.side!r}; allowed: buy, sell")
    for name, amount in (("qty", wanted.qty), ("price", wanted.price)):
        if amount is not None and not (amount.is_finite() and 0 < amount <= MOST):
            raise InvalidInput(f"{name} is {amount}; allowed: more than 0, at most {MOST}")
    desk.venue.ensure_quoted(asset, now_ns)
    touch = desk.venue.market.touch(asset.symbol)
    quoted = None if touch is None else touch.ask if wanted.side == "buy" else touch.bid
    price = wanted.price if wanted.price is not None else quoted
    if price is None:
        raise InvalidInput(f"{asset.symbol} has no quote yet; give a price")
    time_in_force = "gtc" if asset.is_crypto else "day"
    ticket = Ticket(desk.new_id(), asset, wanted.side, "market", time_in_force, wanted.qty)
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
