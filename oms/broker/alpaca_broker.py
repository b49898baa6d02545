"""Alpaca's trading API over HTTP: each call one request, each answer one of the protocol's outcomes."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from bus.clock import Clock
from bus.errors import InvalidInput, Unreadable
from bus.order_messages import Reason
from bus.rfc3339 import written
from oms.broker.alpaca_account import (
    read_account,
    read_asset,
    read_closed,
    read_is_open,
    read_positions,
    read_suspended,
)
from oms.broker.alpaca_activities import read_activities
from oms.broker.alpaca_answers import check_carried_out, read_answer, requests_left
from oms.broker.alpaca_orders import new_order, not_canceled, read_listed, read_order, replacement, resumes_ns
from oms.broker.http_client import HttpClient
from oms.broker.http_connection import Answer
from oms.broker.protocol import (
    SEND_TIMEOUT_S,
    Accepted,
    ActivitiesPage,
    ActivitiesQuery,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    BrokerUnreachable,
    ClosedAtBroker,
    MaySend,
    OrdersPage,
    OrdersQuery,
    Outcome,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unknown,
    UnreadablePosition,
    Watcher,
)
from oms.risk.approval import Approved
from oms.risk.assets import UNKNOWN, Asset

# The most orders that Alpaca lists in one answer.
PAGE = 500

# The most activities that Alpaca lists in one answer.
ACTIVITIES_PAGE = 100

# Alpaca's code for a client id that is in use; the message tells it from other uses of the code.
_ID_IN_USE = "40010001"

# What Alpaca says to every order while the account is set so (Lumiwealth/lumibot#373).
_SUSPENDED = "new orders are rejected by user request"
_TRADE_SUSPENDED = Reason(
    code="trade_suspended",
    message="Alpaca refuses every order of this account, also those that close a position, because it is "
    "suspended there (suspend_trade): `backbone resume --lift-suspension --reason ...`",
)

# Alpaca's code for what it has looked for and does not have.
_NOT_FOUND = "40410000"

_Read = TypeVar("_Read")


class _Withheld(Exception):
    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.message)
        self.reason = reason


class AlpacaBroker:
    """The broker protocol over Alpaca's trading API at `url`, of paper or live.

    `timeout_s` bounds each call as a whole. `page` is how many orders are asked for at once. Raises
    InvalidInput for keys or an address that no request could carry. Keys are never shown.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        clock: Clock,
        *,
        url: str,
        paper: bool = True,
        timeout_s: float = SEND_TIMEOUT_S,
        page: int = PAGE,
    ) -> None:
        for name, value in (("ALPACA_API_KEY", key), ("ALPACA_SECRET_KEY", secret)):
            if not (value.isascii() and value.isprintable() and value.strip() == value != ""):
                raise InvalidInput(f"{name}: a key is printable ASCII without spaces around it")
        self._clock = clock
        self._paper, self._page = paper, page
        self._watcher: Watcher | None = None
        self._client = HttpClient(
            url,
            {
                "APCA-API-KEY-ID": key,
                "APCA-API-SECRET-KEY": secret,
                "Accept": "application/json",
                "Content-Type": "application/json",
            },
            clock,
            timeout_s=timeout_s,
        )

    def __repr__(self) -> str:
        return f"<Alpaca {'paper' if self._paper else 'live'}: {self._client}>"

    def watch(self, watcher: Watcher) -> None:
        """Have this watcher hear of every request from now on."""
        self._watcher = watcher

    async def submit(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Send a new order."""
        body = new_order(approved.terms, approved.client_order_id)
        return await self._order("POST", "/v2/orders", body, may_send)

    async def replace(self, approved: Approved, may_send: MaySend) -> Outcome:
        """Send a replace; the new order has the new client id."""
        body = replacement(approved.terms, approved.changes, approved.client_order_id)
        target = _order_target(approved.replaces_broker_id or "")
        return await self._order("PATCH", target, body, may_send)

    async def cancel(self, broker_order_id: str) -> None:
        """Ask for a cancel."""
        self._verdict(await self._answer("DELETE", _order_target(broker_order_id)))

    async def cancel_all(self) -> None:
        """Ask for a cancel of every order. Raises BrokerRefused where one of them was not taken."""
        answer = await self._answer("DELETE", "/v2/orders")
        self._verdict(answer)
        refused = read_answer(answer, not_canceled) if answer.body else []
        if refused:
            raise BrokerRefused("207", f"{len(refused)} orders were not canceled: {', '.join(refused[:3])}")

    async def find(self, client_order_id: str) -> BrokerOrder | None:
        """Return the order of this client id, or None."""
        query = urlencode({"client_order_id": client_order_id, "nested": "true"})
        try:
            order = await self._ask(f"/v2/orders:by_client_order_id?{query}", read_order)
            if order.order_class and not order.legs:
                # That exits are shown is documented of a question by the broker's own id alone.
                return await self._ask(f"{_order_target(order.id)}?nested=true", read_order)
            return order
        except BrokerRefused as error:
            if error.code == _NOT_FOUND:
                return None
            # Without Alpaca's code a 404 is that of a gateway before it: nobody has looked for the order.
            raise

    async def orders_page(self, query: OrdersQuery) -> OrdersPage:
        """Return the first page of these orders."""
        asked = {"status": query.status, "limit": str(self._page), "direction": "asc", "nested": "true"}
        if query.after_ns is not None:
            asked["after"] = written(query.after_ns)

        def read(raw: Any) -> OrdersPage:
            if not isinstance(raw, list):
                raise Unreadable("orders of Alpaca's are no list")
            orders = tuple(order for listed in map(read_listed, raw) for order in listed.with_legs())
            if len(raw) < self._page:
                return OrdersPage(orders)
            return OrdersPage(orders, OrdersQuery(query.status, resumes_ns(raw)))

        return await self._ask(f"/v2/orders?{urlencode(asked)}", read)

    async def positions(self) -> list[BrokerPosition | UnreadablePosition]:
        """Return every position."""
        return await self._ask("/v2/positions", read_positions)

    async def account(self) -> BrokerAccount:
        """Return the account of the keys."""
        return await self._ask("/v2/account", read_account)

    async def activities_page(self, query: ActivitiesQuery) -> ActivitiesPage:
        """Return the first page of these activities."""
        asked = {
            "category": "non_trade_activity",
            "after": written(query.after_ns),
            "direction": "asc",
            "page_size": str(ACTIVITIES_PAGE),
        }
        if query.after_id:
            asked["page_token"] = query.after_id
        found = await self._ask(f"/v2/account/activities?{urlencode(asked)}", read_activities)
        is_last = len(found) < ACTIVITIES_PAGE
        following = None if is_last else ActivitiesQuery(query.after_ns, found[-1].id)
        return ActivitiesPage(tuple(found), following)

    async def asset(self, symbol: str) -> Asset:
        """Return what Alpaca says of a symbol."""
        try:
            return await self._ask(f"/v2/assets/{quote(symbol)}", read_asset)
        except BrokerRefused as error:
            if error.code == _NOT_FOUND:
                return UNKNOWN
            raise

    async def is_market_open(self) -> bool:
        """Return whether the regular session is on."""
        return await self._ask("/v2/clock", read_is_open)

    async def close_all(self) -> list[ClosedAtBroker]:
        """Cancel every order and close every position at the market: what came of each position.

        Alpaca's own orders do it, without ids of ours: an answer that is lost must not lead to a second try.
        """
        answer = await self._answer("DELETE", "/v2/positions?cancel_orders=true")
        self._verdict(answer)
        return read_answer(answer, read_closed) if answer.body else []

    async def suspended(self) -> bool:
        """Return whether the account is set to refuse every new order (`suspend_trade`)."""
        return await self._ask("/v2/account/configurations", read_suspended)

    async def suspend(self, is_suspended: bool) -> bool:
        """Set whether it is; returns whether it is then. Orders that close a position are refused too."""
        body = msgspec.json.encode({"suspend_trade": is_suspended})
        answer = await self._answer("PATCH", "/v2/account/configurations", body)
        self._verdict(answer)
        return read_answer(answer, read_suspended)

    async def close(self) -> None:
        """Close the connections; requests under way end with an unknown outcome."""
        await self._client.close()

    async def _order(self, method: str, target: str, body: dict[str, Any], may_send: MaySend) -> Outcome:
        sent_ns = 0

        def before_first_byte() -> None:
            nonlocal sent_ns
            reason = may_send()
            if reason is not None:
                raise _Withheld(reason)
            sent_ns = self._clock.now_ns()

        try:
            answer = await self._answer(method, target, msgspec.json.encode(body), before_first_byte)
            acknowledged_ns = self._clock.now_ns()
            self._verdict(answer)
            order = read_answer(answer, read_order)
        except _Withheld as withheld:
            return Rejected("oms", withheld.reason)
        except BrokerUnreachable as error:
            return Rejected("oms", Reason(code="broker_unreachable", message=str(error)))
        except BrokerRefused as error:
            if error.code == _ID_IN_USE and "client_order_id" in error.message:
                return Unknown(f"the broker has an order of this client id already: {error.message}")
            if _SUSPENDED in error.message:
                return Rejected("broker", _TRADE_SUSPENDED)
            return Rejected("broker", Reason(code=f"broker_{error.code}", message=error.message))
        except OutcomeUnknown as error:
            return Unknown(str(error))
        if order.client_order_id != body["client_order_id"]:
            return Unknown(f"the broker answered with another order, {order.client_order_id[:128]}")
        return Accepted(order, sent_ns, acknowledged_ns)

    async def _ask(self, target: str, read: Callable[[Any], _Read]) -> _Read:
        answer = await self._answer("GET", target)
        self._verdict(answer)
        return read_answer(answer, read)

    async def _answer(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        before_first_byte: Callable[[], None] = lambda: None,
    ) -> Answer:
        try:
            return await self._client.request(method, target, body, before_first_byte)
        except (BrokerUnreachable, OutcomeUnknown) as error:
            if self._watcher is not None:
                self._watcher.failed(str(error))
            raise

    def _verdict(self, answer: Answer) -> None:
        """Return where the broker did what it was asked; raise what its answer means otherwise."""
        try:
            check_carried_out(answer, self._clock.now_ns())
        except OutcomeUnknown as error:
            if self._watcher is not None:
                self._watcher.failed(str(error))
            raise
        except RateLimited:
            if self._watcher is not None:
                self._watcher.answered(None)
            raise
        except BrokerRefused:
            if self._watcher is not None:
                self._watcher.answered(requests_left(answer, self._clock.now_ns()))
            raise
        if self._watcher is not None:
            self._watcher.answered(requests_left(answer, self._clock.now_ns()))


def _order_target(broker_order_id: str) -> str:
    return f"/v2/orders/{quote(broker_order_id, safe='')}"
