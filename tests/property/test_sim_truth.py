"""However accounts are traded, REST, updates, activities and the ledger tell one story, after every step."""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from account_books import ENDED, Books
from raw_http import RawConnection, RawSocket
from simulator import Simulator

OPENING = Decimal(100_000)
CENT = Decimal("0.01")
SYMBOLS = ("AAPL", "MSFT", "BTC/USD")
STEPS = 120
PAGE = 100
ARGUMENTS = (
    "--virtual-time", "--hours", "exchange", "--rate", "0.2", "--accounts", "2",
    "--symbols", ",".join(SYMBOLS), "--partial-chance", "0.4", "--requests-per-minute", "9000000",
)  # fmt: skip


class Client:
    """One account, seen over its own REST and its own updates, and kept in books of its own."""

    def __init__(self, simulator: Simulator, key: str, secret: str, stack: ExitStack) -> None:
        self.key = key
        self.books = Books(OPENING)
        self.own: set[str] = set()
        self.ended: dict[str, str] = {}
        self._headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        self._rest = stack.enter_context(RawConnection(simulator.trading_url))
        self._control = stack.enter_context(RawConnection(simulator.control_url))
        self._updates = stack.enter_context(RawSocket(simulator.trading_stream_url))
        self._updates.say({"action": "authenticate", "data": {"key_id": key, "secret_key": secret}})
        assert self._updates.messages()["data"]["status"] == "authorized"
        self.catch_up()

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request; a refusal is no failure, as long as it is one."""
        data = b"" if body is None else json.dumps(body).encode()
        answer = self._rest.request(method, path, self._headers, data)
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

    def catch_up(self) -> None:
        """Hear every update that waits: the answer to `listen` comes after them."""
        self._updates.say({"action": "listen", "data": {"streams": ["trade_updates"]}})
        while (message := self._updates.messages())["stream"] != "listening":
            self.books.hear(message["data"])


class Walk:
    """A random walk through everything that can be done, and the comparison after each step."""

    def __init__(self, simulator: Simulator, seed: int, stack: ExitStack) -> None:
        self.rng = random.Random(seed)
        self.done: list[str] = []
        accounts: Any = simulator.urls["accounts"]
        self.clients = [Client(simulator, one["key"], one["secret"], stack) for one in accounts]
        self._control = stack.enter_context(RawConnection(simulator.control_url))
        self._halted: set[str] = set()
        self._actions: list[Callable[[Client], object]] = [
            *[self.order] * 7, self.group, self.group, self.replace,
            self.replace, self.cancel, self.cancel, self.close, self.close_all,
            self.cancel_all, self.by_hand, self.halt,
        ]  # fmt: skip

    def step(self) -> None:
        """One action, some time, and a look at both accounts."""
        client = self.rng.choice(self.clients)
        action = self.rng.choice(self._actions)
        self.done.append(action.__name__)
        action(client)
        self.control("POST", "/clock", seconds=self.seconds())
        for one in self.clients:
            one.catch_up()
            compare(one)
        first, second = self.clients
        assert not first.own & second.own, "an order belongs to one account"

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
        self.control("POST", "/resumes" if symbol in self._halted else "/halts", symbol=symbol)
        self._halted ^= {symbol}


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def compare(client: Client) -> None:
    """Books, REST and the ledger, each against each."""
    books, ledger = client.books, client.ledger()
    assert ledger["difference"] == {"cash": "0", "positions": {}, "orders": []}
    assert Decimal(ledger["cash"]) == books.cash
    positions = {symbol: Decimal(qty) for symbol, qty in ledger["positions"].items()}
    assert positions == books.positions
    compare_account(client, ledger)
    compare_orders(client, ledger)
    compare_fills(client, ledger)


def compare_account(client: Client, ledger: dict[str, Any]) -> None:
    account, shown = client.get("/v2/account"), client.get("/v2/positions")
    assert Decimal(account["cash"]) == cents(client.books.cash)
    assert {one["symbol"]: Decimal(one["qty"]) for one in shown} == client.books.positions
    cost = Decimal(0)
    for one in shown:
        total = ledger["symbols"][one["symbol"]]
        assert abs(Decimal(one["cost_basis"]) - Decimal(total["cost_basis"])) <= Decimal("0.000001")
        assert abs(Decimal(one["qty_available"])) <= abs(Decimal(one["qty"]))
        cost += Decimal(total["cost_basis"])
    # What was paid in is cash, what positions cost, or lost for good.
    explained = Decimal(ledger["cash"]) + cost - Decimal(ledger["realised_profit"])
    assert abs(explained - OPENING) < Decimal("1e-12")
    worth = sum((Decimal(one["market_value"]) for one in shown), Decimal(0))
    assert abs(Decimal(account["equity"]) - client.books.cash - worth) <= Decimal("0.02")
    assert Decimal(account["buying_power"]) >= 0


def compare_orders(client: Client, ledger: dict[str, Any]) -> None:
    shown = {order["id"]: order for order in client.get("/v2/orders?status=all&limit=500&nested=false")}
    known = {order["id"]: order for order in ledger["orders"]}
    assert shown.keys() == known.keys()
    assert client.own <= known.keys()
    client.own |= known.keys()
    for order_id, order in shown.items():
        told = client.books.orders.get(order_id)
        for name in ("status", "filled_qty", "filled_avg_price"):
            assert order[name] == known[order_id][name]
            assert told is None or order[name] == told[name], (name, order, told)
        assert told is not None or order["status"] in ("pending_new", "held"), order
        if order_id in client.ended:
            assert order["status"] == client.ended[order_id]
        elif order["status"] in ENDED:
            client.ended[order_id] = order["status"]
    is_open = {order["id"] for order in client.get("/v2/orders?status=open&limit=500&nested=false")}
    assert is_open == {order_id for order_id, order in shown.items() if order["status"] not in ENDED}
    assert {one["order_id"] for one in ledger["reservations"]} == is_open


def compare_fills(client: Client, ledger: dict[str, Any]) -> None:
    heard = [
        (one["execution_id"], one["order"]["id"], one["qty"], one["price"]) for one in client.books.fills
    ]
    assert [(one["id"], one["order_id"], one["qty"], one["price"]) for one in ledger["fills"]] == heard
    page = client.get(f"/v2/account/activities/FILL?page_size={PAGE}&direction=desc")
    told = [(one["id"].split("::")[1], one["order_id"], one["qty"], one["price"]) for one in reversed(page)]
    assert told == heard[-PAGE:]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize("seed", [1, 2])
def test_all_tell_one_story(seed: int, stack: ExitStack) -> None:
    simulator = stack.enter_context(Simulator.start(*ARGUMENTS, "--seed", str(seed)))
    walk = Walk(simulator, seed, stack)
    for _ in range(STEPS):
        try:
            walk.step()
        except AssertionError as error:
            error.add_note(f"after {len(walk.done)} steps of seed {seed}: {walk.done[-5:]}")
            raise
    assert simulator.errors[-3000:] == ""
    assert sum(len(client.books.fills) for client in walk.clients) > STEPS / 5
