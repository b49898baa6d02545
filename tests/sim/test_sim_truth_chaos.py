"""Whatever faults do to answers and streams, an account stays the sum of its fills."""

import json
from contextlib import ExitStack
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from random_trading import CENT, OPENING, SYMBOLS, Client, Walk
from raw_http import RawConnection
from simulator import Simulator

from sim.faults.schedule import DRAWS

STEPS = 80
# Those that only make a client wait in real time.
SLOW = {"hang", "latency", "trickle", "update_before_response"}
ARGUMENTS = (
    "--virtual-time", "--rate", "0.5", "--accounts", "2", "--symbols", ",".join(SYMBOLS),
    "--partial-chance", "0.4", "--requests-per-minute", "9000000",
    "--chaos-every", "20", "--chaos-faults", ",".join(sorted(DRAWS.keys() - SLOW)),
)  # fmt: skip


class FaultyClient(Client):
    """A client under faults: it reads no updates and takes any answer, or none, for an answer."""

    def listen(self, simulator: Simulator, secret: str, stack: ExitStack) -> None:
        """Do nothing: streams are cut all the time."""

    def catch_up(self) -> None:
        """Do nothing: there is no stream to read."""

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """One request on a connection of its own; what broke off has status 0."""
        data = b"" if body is None else json.dumps(body).encode()
        try:
            with RawConnection(self.url) as wire:
                answer = wire.request(method, path, self.headers, data)
            found = answer.json() if answer.body else {}
        except (ConnectionError, json.JSONDecodeError):
            return 0, {}
        return answer.status, found

    def get(self, path: str) -> Any:
        """The first good answer."""
        for _ in range(50):
            status, found = self.ask("GET", path)
            if status == 200:
                return found
        raise AssertionError(f"no answer to GET {path}")


def check(client: Client) -> dict[str, Any]:
    """The ledger, whose fills add up to what it says and to what the account keeps."""
    ledger = client.ledger()
    assert ledger["difference"] == {"cash": "0", "positions": {}, "orders": []}
    cash, held = OPENING, dict.fromkeys(SYMBOLS, Decimal(0))
    for fill in ledger["fills"]:
        quantity, fee = Decimal(fill["qty"]), Decimal(fill["fee"])
        if fill["side"] == "buy":
            cash -= quantity * Decimal(fill["price"])
            held[fill["symbol"]] += quantity - fee
        else:
            cash += quantity * Decimal(fill["price"]) - fee
            held[fill["symbol"]] -= quantity
        assert (Decimal(fill["cash_after"]), Decimal(fill["position_after"])) == (cash, held[fill["symbol"]])
    assert cash == Decimal(ledger["cash"])
    assert {s: qty for s, qty in held.items() if qty} == {
        s: Decimal(qty) for s, qty in ledger["positions"].items()
    }
    return ledger


@pytest.mark.parametrize("seed", [1, 2])
def test_faults_never_touch_the_truth(seed: int) -> None:
    with (
        Simulator.start(*ARGUMENTS, "--seed", str(seed), "--chaos", str(seed)) as simulator,
        ExitStack() as stack,
    ):
        walk = Walk(simulator, seed, stack, FaultyClient)
        for _ in range(STEPS):
            walk.step()
            for client in walk.clients:
                check(client)
        # Nothing begins while time stands still: from now on every answer is true.
        simulator.clear_faults()
        for client in walk.clients:
            ledger = check(client)
            account, positions = client.get("/v2/account"), client.get("/v2/positions")
            assert Decimal(account["cash"]) == Decimal(ledger["cash"]).quantize(CENT, ROUND_HALF_UP)
            held = {symbol.replace("/", ""): qty for symbol, qty in ledger["positions"].items()}
            assert {one["symbol"]: one["qty"] for one in positions} == held
            orders = client.get("/v2/orders?status=all&limit=500&nested=false&direction=asc")
            told = {order["id"]: (order["status"], order["filled_qty"]) for order in orders}
            assert told == {order["id"]: (order["status"], order["filled_qty"]) for order in ledger["orders"]}
        assert simulator.errors[-3000:] == ""
