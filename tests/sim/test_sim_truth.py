"""However accounts are traded, REST, updates, activities and the ledger tell one story, after every step."""

from collections.abc import Iterator
from contextlib import ExitStack
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from account_books import ENDED
from random_trading import CENT, OPENING, SYMBOLS, Client, Walk
from simulator import Simulator

START = "2026-01-05T00:00:00Z"
STEPS = 80
PAGE = 100
ARGUMENTS = (
    "--virtual-time", "--rate", "0.2", "--accounts", "2",
    "--symbols", ",".join(SYMBOLS), "--partial-chance", "0.4", "--requests-per-minute", "9000000",
)  # fmt: skip


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def without_slash(symbol: str) -> str:
    """A pair as positions name it."""
    return symbol.replace("/", "")


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
    positions = {without_slash(symbol): qty for symbol, qty in client.books.positions.items()}
    assert {one["symbol"]: Decimal(one["qty"]) for one in shown} == positions
    totals = {without_slash(symbol): total for symbol, total in ledger["symbols"].items()}
    cost = Decimal(0)
    for one in shown:
        total = totals[one["symbol"]]
        assert abs(Decimal(one["cost_basis"]) - Decimal(total["cost_basis"])) <= Decimal("0.000001")
        assert abs(Decimal(one["qty_available"])) <= abs(Decimal(one["qty"]))
        cost += Decimal(total["cost_basis"])
    # What was paid in is cash, what positions cost, or lost for good.
    explained = Decimal(ledger["cash"]) + cost - Decimal(ledger["realized_profit"])
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


def compare_histories(client: Client, until: str) -> None:
    """Every page of activities, and events asked for afterwards, tell what was heard until then."""
    heard = [one["execution_id"] for one in client.books.fills]
    path = "/v2/account/activities/FILL?direction=asc&page_size=7"
    page = found = client.get(path)
    while page:
        page = client.get(f"{path}&page_token={page[-1]['id']}")
        found += page
    assert [one["id"].split("::")[1] for one in found] == heard
    events = client.events(f"/v2/events/trades?since={START}&until={until}")
    assert [event["execution_id"] for event in events] == client.books.executions


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.mark.parametrize(("seed", "hours"), [(1, "exchange"), (2, "exchange"), (3, "always")])
def test_all_tell_one_story(seed: int, hours: str, stack: ExitStack) -> None:
    simulator = stack.enter_context(Simulator.start(*ARGUMENTS, "--seed", str(seed), "--hours", hours))
    walk = Walk(simulator, seed, stack)
    for _ in range(STEPS):
        try:
            walk.step()
            for client in walk.clients:
                compare(client)
            first, second = walk.clients
            assert not first.own & second.own, "an order belongs to one account"
        except AssertionError as error:
            error.add_note(f"after {len(walk.done)} steps of seed {seed}: {walk.done[-5:]}")
            raise
    until = walk.clients[0].get("/v2/clock")["timestamp"]
    walk.control("POST", "/clock", seconds=1)
    for client in walk.clients:
        compare_histories(client, until)
    assert simulator.errors[-3000:] == ""
    assert sum(len(client.books.fills) for client in walk.clients) > STEPS / 5
