"""Random trading of several accounts of a simulator in virtual time, each with books of its own."""

import json
import random
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from typing import Any

from account_books import Books
from raw_http import RawConnection, RawSocket
from simulator import Simulator

OPENING = Decimal(100_000)
CENT = Decimal("0.01")
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")


class Client:
    """One account, seen over its own REST and its own updates, and kept in books of its own."""

    def __init__(self, simulator: Simulator, key: str, secret: str, stack: ExitStack) -> None:
        self.key = key
        self.books = Books(OPENING)
        self.own: set[str] = set()
        self.ended: dict[str, str] = {}
        self.url = simulator.trading_url
        self.headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        self._rest = stack.enter_context(RawConnection(simulator.trading_url))
        self._control = stack.enter_context(RawConnection(simulator.control_url))
        self.listen(simulator, secret, stack)

    def listen(self, simulator: Simulator, secret: str, stack: ExitStack) -> None:
        """Open the account's updates."""
        self._updates = stack.enter_context(RawSocket(simulator.trading_stream_url))
        self._updates.say({"action": "authenticate", "data": {"key_id": self.key, "secret_key": secret}})
        assert self._updates.messages()["data"]["status"] == "authorized"
        self.catch_up()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request; a refusal is no failure, as long as it is one."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = self._rest.request(method, path, self.headers, data)
        assert answer.status in (200, 204, 207, 403, 404, 422), answer
        return answer.status, None if answer.status == 204 else answer.json()

    def get(self, path: str) -> Any:
        """One good answer."""
        status, found = self.ask("GET", path)
        assert status == 200, found
        return found

    def ledger(self) -> dict[str, Any]:
        """What the simulator says that happened."""
        found: dict[str, Any] = self._control.request("GET", f"/ledger?account={self.key}", {}).json()
        return found

    def events(self, path: str) -> list[dict[str, Any]]:
        """All of an answer that comes as events, to its end."""
        with RawConnection(self.url) as wire:
            wire.request("GET", path, self.headers | {"Connection": "close"})
            return [json.loads(line) for line in re.findall(rb"^data: (.*)$", wire.rest(), re.M)]

    def catch_up(self) -> None:
        """Hear every update that waits: the answer to `listen` comes after them."""
        self._updates.say({"action": "listen", "data": {"streams": ["trade_updates"]}})
        while (message := self._updates.messages())["stream"] != "listening":
            self.books.hear(message["data"])


class Walk:
    """A random walk through everything that can be done."""

    def __init__(
        self, simulator: Simulator, seed: int, stack: ExitStack, kind: type[Client] = Client
    ) -> None:
        self.rng = random.Random(seed)
        self.done: list[str] = []
        accounts: Any = simulator.urls["accounts"]
        self.clients = [kind(simulator, one["key"], one["secret"], stack) for one in accounts]
        self._control = stack.enter_context(RawConnection(simulator.control_url))
        self._halted: set[str] = set()
        self._actions: list[Callable[[Client], object]] = [
            *[self.order] * 7, self.group, self.group, self.replace,
            self.replace, self.cancel, self.cancel, self.close, self.close_all,
            self.cancel_all, self.by_hand, self.halt,
        ]  # fmt: skip

    def step(self) -> None:
        """An action or two, some time, and every account hears what came of it."""
        for _ in range(self.rng.choice([1, 1, 2])):
            action = self.rng.choice(self._actions)
            self.done.append(action.__name__)
            action(self.rng.choice(self.clients))
        self.control("POST", "/clock", seconds=self.seconds())
        for one in self.clients:
            one.catch_up()

    def seconds(self) -> float:
        """Mostly seconds; now and then over a session's boundary, and from the night into a session."""
        clock = self.clients[0].get("/v2/clock")
        if not clock["is_open"] and self.rng.random() < 0.6:
            wait = datetime.fromisoformat(clock["next_open"]) - datetime.fromisoformat(clock["timestamp"])
            return wait.total_seconds() + 1
        return self.rng.choices([0.1, 1, 5, 30, 600, 3_600, 20_000], [2, 5, 5, 5, 2, 2, 1])[0]

    def control(self, method: str, path: str, **body: Any) -> None:
        answer = self._control.request(method, path, {}, json.dumps(body).encode())
        assert answer.status == 200, answer

    def price(self, symbol: str, *factors: str) -> str:
        """What it costs times one of the factors; by default about what it costs."""
        path = "/v1beta3/crypto/us/latest/trades" if "/" in symbol else "/v2/stocks/trades/latest"
        last = Decimal(str(self.clients[0].get(f"{path}?symbols={symbol}")["trades"][symbol]["p"]))
        factor = self.rng.choice(factors or ("0.9", "0.995", "0.999", "1", "1.001", "1.005", "1.1"))
        return str((last * Decimal(factor)).quantize(CENT))

    def order(self, client: Client) -> None:
        """Mostly one that is well-formed; whether the account allows it is another matter."""
        rng, symbol = self.rng, self.rng.choice(SYMBOLS)
        is_coin = "/" in symbol
        kinds = [
            "market",
            "market",
            "limit",
            "limit",
            "stop_limit",
            *([] if is_coin else ["stop", "trailing_stop"]),
        ]
        kind, side = rng.choice(kinds), rng.choice(["buy", "sell"])
        body: dict[str, Any] = {"symbol": symbol, "side": side, "type": kind}
        is_part = not is_coin and rng.random() < 0.2
        if kind == "market" and rng.random() < 0.2:
            body["notional"], is_part = f"{rng.uniform(1, 9000):.2f}", True
        elif is_coin or is_part:
            body["qty"] = f"{rng.uniform(0.001, 0.3):.9f}"
        else:
            body["qty"] = rng.randint(1, 60)
        times = ["gtc"] if is_coin else ["day"] if is_part else ["day", "gtc"]
        if kind in ("market", "limit") and not is_part:
            times += ["ioc"] if is_coin else ["ioc", "fok", rng.choice(["opg", "cls", "day"])]
        body["time_in_force"] = rng.choice(times)
        if kind in ("limit", "stop_limit"):
            body["limit_price"] = self.price(symbol)
            body["extended_hours"] = (
                kind == "limit" and body["time_in_force"] in ("day", "gtc") and not is_coin
            )
        if kind in ("stop", "stop_limit"):
            near = ("1.0005", "1.002", "1.01") if side == "buy" else ("0.9995", "0.998", "0.99")
            body["stop_price"] = self.price(symbol, *near)
        if kind == "trailing_stop":
            body |= rng.choice([{"trail_percent": "0.1"}, {"trail_percent": "1"}, {"trail_price": "0.2"}])
        self.submit(client, body)

    def group(self, client: Client) -> None:
        """A bracket, an OTO, or an OCO that ends a position."""
        rng = self.rng
        order_class = rng.choice(["bracket", "oco", "oto"])
        symbol, side = rng.choice(SYMBOLS[:2]), rng.choice(["buy", "sell"])
        held = client.books.positions.get(symbol, Decimal(0))
        if order_class == "oco" and held:
            side = "sell" if held > 0 else "buy"
        is_long = (side == "buy") != (order_class == "oco")
        gain, loss = (("1.001", "1.01"), ("0.999", "0.99"))[:: 1 if is_long else -1]
        body: dict[str, Any] = {
            "symbol": symbol, "side": side, "qty": rng.randint(1, 20), "type": "limit",
            "time_in_force": rng.choice(["day", "gtc"]), "order_class": order_class,
            "take_profit": {"limit_price": self.price(symbol, *gain)},
            "stop_loss": {"stop_price": self.price(symbol, *loss)},
        }  # fmt: skip
        if order_class != "oco":
            body |= {"type": "market"} if rng.random() < 0.5 else {"limit_price": self.price(symbol, "1")}
        if order_class == "oto":
            del body[rng.choice(["take_profit", "stop_loss"])]
        self.submit(client, body)

    def submit(self, client: Client, body: dict[str, Any]) -> None:
        status, made = client.ask("POST", "/v2/orders", body)
        if status == 200:
            client.own.add(made["id"])
            client.own |= {leg["id"] for leg in made["legs"] or []}

    def replace(self, client: Client) -> None:
        if chosen := self.some_order(client):
            body = self.rng.choice([
                {"qty": self.rng.randint(1, 80)}, {"limit_price": self.price(chosen["symbol"])},
                {"stop_price": self.price(chosen["symbol"])}, {"trail": "0.7"}, {},
            ])  # fmt: skip
            status, made = client.ask("PATCH", f"/v2/orders/{chosen['id']}", body)
            if status == 200:
                client.own.add(made["id"])
                assert made["replaces"] == chosen["id"]

    def cancel(self, client: Client) -> None:
        if chosen := self.some_order(client):
            client.ask("DELETE", f"/v2/orders/{chosen['id']}")

    def some_order(self, client: Client) -> dict[str, Any] | None:
        found = client.get("/v2/orders?status=open&limit=500") or client.get("/v2/orders?status=all")
        return self.rng.choice(found) if found else None

    def close(self, client: Client) -> None:
        part = self.rng.choice(["", "?percentage=50", "?qty=1", "?percentage=33.3"])
        client.ask("DELETE", f"/v2/positions/{self.rng.choice(SYMBOLS)}{part}")

    def close_all(self, client: Client) -> None:
        if self.rng.random() < 0.3:
            client.ask("DELETE", f"/v2/positions?cancel_orders={self.rng.choice(['true', 'false'])}")

    def cancel_all(self, client: Client) -> None:
        if self.rng.random() < 0.3:
            client.ask("DELETE", "/v2/orders")

    def by_hand(self, client: Client) -> None:
        symbol, side = self.rng.choice(SYMBOLS), self.rng.choice(["buy", "sell"])
        self.control("POST", "/trades", symbol=symbol, side=side, qty="1.5", account=client.key)

    def halt(self, client: Client) -> None:
        symbol = self.rng.choice(SYMBOLS[:2])
        path = "/resumes" if symbol in self._halted else "/halts"
        answer = self._control.request("POST", path, {}, json.dumps({"symbol": symbol}).encode())
        assert answer.status in (200, 400), answer  # somebody else may have halted it, or resumed it
        self._halted ^= {symbol}
