"""Alpaca's own client made safe: every call bounded in time, no request repeated, every doubt looked up."""

import json
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import requests
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from requests.adapters import HTTPAdapter
from urllib3.exceptions import MaxRetryError, NewConnectionError

from bus.errors import Unreadable
from oms.alpaca_orders import new_order, position_symbol, read_order, replacement, written_time
from oms.broker import (
    SEND_TIMEOUT_S,
    BeforeSend,
    BrokerAccount,
    BrokerOrder,
    BrokerPosition,
    BrokerRefused,
    BrokerUnreachable,
    IdConflict,
    KeysRefused,
    OutcomeUnknown,
    RateLimited,
    same_order,
)
from oms.risk import Approved

# An order whose answer was lost is looked for at once, and again while the broker may still be writing it.
LOOKUP_WAITS_S = (0.0, 0.25, 1.0)

# Alpaca's code for a client id that is in use; the message tells it from other uses of the code.
_ID_IN_USE = "40010001"

_PAGE = 500


class _Bounded(HTTPAdapter):
    """Puts a timeout on every request: alpaca-py sets none, and would wait for ever."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(max_retries=0)
        self._timeout_s = timeout_s

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send with our timeout, whatever the caller asked for."""
        kwargs["timeout"] = self._timeout_s
        return super().send(request, *args, **kwargs)


class AlpacaBroker:
    """The broker protocol over alpaca-py's TradingClient, one client and session for each thread.

    `url` None is Alpaca's own address.
    """

    def __init__(
        self,
        key: str,
        secret: str,
        *,
        paper: bool = True,
        url: str | None = None,
        timeout_s: float = SEND_TIMEOUT_S,
        lookup_waits_s: tuple[float, ...] = LOOKUP_WAITS_S,
    ) -> None:
        self._key, self._secret = key, secret
        self._paper, self._url = paper, url
        self._timeout_s = timeout_s
        self._lookup_waits_s = lookup_waits_s
        self._on_lookup: Callable[[], None] = lambda: None
        self._local = threading.local()
        self._closing = threading.Event()

    def __repr__(self) -> str:
        return f"<Alpaca {'paper' if self._paper else 'live'} at {self._url or 'its own address'}>"

    def count_lookups(self, counted: Callable[[], None]) -> None:
        """Have look-ups counted, so that the rate budget knows of them."""
        self._on_lookup = counted

    def close(self) -> None:
        """End waits between lookups, so that threads can be joined."""
        self._closing.set()

    def submit(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """Send a new order once; where its outcome is in doubt, look it up by its client id."""
        return self._send(
            "POST", "/orders", new_order(approved.terms, approved.client_order_id), approved, before_send
        )

    def replace(self, approved: Approved, before_send: BeforeSend) -> BrokerOrder:
        """Send a replace once; the new order has the new client id, so doubt is settled in the same way."""
        body = replacement(approved.terms, approved.client_order_id)
        return self._send("PATCH", f"/orders/{approved.replaces_broker_id}", body, approved, before_send)

    def cancel(self, broker_order_id: str) -> None:
        """Ask for a cancel."""
        self._call("DELETE", f"/orders/{broker_order_id}")

    def find(self, client_order_id: str) -> BrokerOrder | None:
        """The order of this client id, or None."""
        try:
            raw = self._call("GET", "/orders:by_client_order_id", {"client_order_id": client_order_id})
        except BrokerRefused as error:
            if error.code in ("404", "40410000"):
                return None
            raise
        return _understood(raw)

    def open_orders(self) -> list[BrokerOrder]:
        """Every order that may still be filled, oldest first."""
        return self._listed({"status": "open"})

    def recent_orders(self, since_ns: int) -> list[BrokerOrder]:
        """Every order submitted after this time, oldest first."""
        return self._listed({"status": "all", "after": written_time(since_ns)})

    def positions(self) -> list[BrokerPosition]:
        """Every position."""
        found = self._call("GET", "/positions")
        return [
            BrokerPosition(
                symbol=position_symbol(str(raw["symbol"]), str(raw.get("asset_class", ""))),
                quantity=_signed(Decimal(str(raw["qty"])), str(raw.get("side", "long"))),
                average_price=Decimal(str(raw["avg_entry_price"])),
            )
            for raw in found
        ]

    def account(self) -> BrokerAccount:
        """The account's money."""
        raw = self._call("GET", "/account")
        cash, equity, power = (Decimal(str(raw[name])) for name in ("cash", "equity", "buying_power"))
        return BrokerAccount(cash=cash, equity=equity, buying_power=power)

    def _listed(self, query: dict[str, str]) -> list[BrokerOrder]:
        """All pages of a list of orders, by time of submission."""
        found: dict[str, BrokerOrder] = {}
        query = {**query, "limit": str(_PAGE), "direction": "asc"}
        while True:
            page = self._call("GET", "/orders", query)
            new = [raw for raw in page if raw["id"] not in found]
            found |= {order.id: order for order in map(_understood, new)}
            if len(page) < _PAGE or not new:
                return list(found.values())
            # Legs are submitted at one moment with their order, and `after` leaves its own moment out: a page
            # that ends between them is followed by one that begins with that moment again.
            times = [str(raw["submitted_at"]) for raw in page]
            query["after"] = next((time for time in reversed(times) if time != times[-1]), times[-1])

    def _send(
        self, method: str, path: str, body: dict[str, Any], approved: Approved, before_send: BeforeSend
    ) -> BrokerOrder:
        self._client()
        before_send()
        try:
            return _understood(self._call(method, path, body))
        except OutcomeUnknown as error:
            return self._looked_up(approved, error)
        except BrokerRefused as error:
            if error.code != _ID_IN_USE or "client_order_id" not in error.message:
                raise
            return self._looked_up(approved, error)

    def _looked_up(self, approved: Approved, doubt: BrokerRefused | OutcomeUnknown) -> BrokerOrder:
        """The order behind a doubtful answer. Not finding it is no proof: then the outcome stays unknown."""
        for wait_s in self._lookup_waits_s:
            self._closing.wait(wait_s)
            self._on_lookup()
            try:
                found = self.find(approved.client_order_id)
            except (OutcomeUnknown, BrokerUnreachable, RateLimited):
                continue
            if found is None:
                continue
            if same_order(approved.terms, found):
                return found
            raise IdConflict(
                _ID_IN_USE, f"it has another order, {found.id}, under client id {approved.client_order_id}"
            ) from doubt
        raise OutcomeUnknown(f"{doubt}; it was not found under its client id either") from doubt

    def _client(self) -> TradingClient:
        client: TradingClient | None = getattr(self._local, "client", None)
        if client is None:
            client = TradingClient(
                self._key, self._secret, paper=self._paper, raw_data=True, url_override=self._url
            )
            # alpaca-py repeats a POST after 429 and 504, and there is no argument against it.
            client._retry = 0
            client._retry_codes = []
            for scheme in ("http://", "https://"):
                client._session.mount(scheme, _Bounded(self._timeout_s))
            self._local.client = client
        return client

    def _call(self, method: str, path: str, data: dict[str, Any] | None = None) -> Any:
        """One request; every way in which it can end is one of the protocol's errors."""
        client = self._client()
        try:
            match method:
                case "POST":
                    return client.post(path, data)
                case "PATCH":
                    return client.patch(path, data)
                case "DELETE":
                    return client.delete(path, data)
                case _:
                    return client.get(path, data)
        except APIError as error:
            raise _refusal(error) from None
        except requests.ConnectTimeout as error:
            raise BrokerUnreachable("no connection to the broker in time; nothing was sent") from error
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise BrokerUnreachable("no connection to the broker; nothing was sent") from error
            raise OutcomeUnknown("the connection broke before the broker answered") from error
        except requests.Timeout as error:
            raise OutcomeUnknown(f"the broker did not answer within {self._timeout_s:g} s") from error
        except requests.RequestException as error:
            raise OutcomeUnknown(f"the broker's answer could not be read: {type(error).__name__}") from error


def _refusal(error: APIError) -> BrokerRefused | RateLimited | OutcomeUnknown:
    """alpaca-py's error in the protocol's words. Its own `code` and `message` fail on some bodies."""
    status = int(error.status_code or 0)
    try:
        body = json.loads(str(error))
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = str(body.get("message") or f"HTTP {status}")
    if status == 429:
        return RateLimited("the broker says: too many requests")
    if status == 401:
        return KeysRefused("401", "it does not accept the keys")
    if 400 <= status < 500:
        return BrokerRefused(str(body.get("code") or status), message)
    return OutcomeUnknown(f"the broker answered HTTP {status}")


def _never_connected(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError)


def _understood(raw: Any) -> BrokerOrder:
    try:
        return read_order(raw)
    except Unreadable as error:
        raise OutcomeUnknown(f"the broker's answer could not be read: {error}") from error


def _signed(quantity: Decimal, side: str) -> Decimal:
    return -abs(quantity) if side == "short" else quantity
