"""A run under chaos: the same from the same seed, and a client that asks again gets through it."""

from typing import Any

import pytest
import requests
from simulator import Simulator

VIRTUAL = ("--virtual-time", "--key", "K", "--secret", "S", "--symbols", "AAPL,BTC/USD", "--rate", "10")
STEP_S = 1


def transcript(*arguments: str) -> list[tuple[str, bytes]]:
    """All that a client without a websocket sees of ninety virtual seconds, and the schedule."""
    seen: list[tuple[str, bytes]] = []
    with Simulator.start(*VIRTUAL, *arguments) as simulator, requests.Session() as session:
        session.headers.update({"APCA-API-KEY-ID": "K", "APCA-API-SECRET-KEY": "S"})

        def ask(method: str, path: str, **options: Any) -> None:
            try:
                answer = session.request(method, simulator.trading_url + path, timeout=10, **options)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
                seen.append((type(error).__name__, b""))
                return
            headers = sorted(answer.headers.items())
            seen.append((f"{answer.status_code} {headers}", answer.content))

        for number in range(90):
            order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
            ask("POST", "/v2/orders", json={**order, "client_order_id": f"o{number}"})
            ask("GET", "/v2/orders?status=all")
            ask("GET", "/v2/clock")
            simulator._ask("POST", "/clock", {"seconds": STEP_S})
        faults = requests.get(f"{simulator.control_url}/faults", timeout=10)
        seen.append(("faults", faults.content))
        assert simulator.errors == ""
    return seen


@pytest.fixture(scope="module")
def run() -> list[tuple[str, bytes]]:
    return transcript("--chaos", "7", "--chaos-every", "3")


def test_two_runs_of_a_seed_are_the_same_bytes(run: list[tuple[str, bytes]]) -> None:
    assert transcript("--chaos", "7", "--chaos-every", "3") == run


def test_another_seed_is_another_run(run: list[tuple[str, bytes]]) -> None:
    assert transcript("--chaos", "8", "--chaos-every", "3") != run


def test_the_schedule_so_far_is_told(run: list[tuple[str, bytes]]) -> None:
    with Simulator.start(
        *VIRTUAL, "--chaos", "7", "--chaos-faults", "mute,halt", "--chaos-every", "3"
    ) as one:
        assert one._ask("GET", "/faults")["chaos"]["schedule"] == []
        one._ask("POST", "/clock", {"seconds": 60})
        chaos = one._ask("GET", "/faults")["chaos"]
    assert (chaos["seed"], chaos["every_seconds"], chaos["faults"]) == (7, 3, ["mute", "halt"])
    assert {begun["fault"]["fault"] for begun in chaos["schedule"]} == {"mute", "halt"}
    assert all(begun["refused"] is None for begun in chaos["schedule"])
    times = [begun["after_ms"] for begun in chaos["schedule"]]
    assert times == sorted(times)
    assert times[-1] <= 60_000


def test_a_client_that_asks_again_gets_every_order_through() -> None:
    arguments = ("--chaos", "3", "--chaos-every", "1", "--accounts", "2", "--requests-per-minute", "100000")
    kinds = "error_500,http_error,reset,truncated,accept_then_504,rate_limit,reject_order,hold_order,halt"
    with Simulator.start(*VIRTUAL, *arguments, "--chaos-faults", kinds) as simulator:
        client = simulator.trading_client()
        client._retry_wait = 0
        for number in range(60):
            while not _is_there(client, simulator, f"o{number}"):
                pass
            simulator._ask("POST", "/clock", {"seconds": 1})
        simulator._ask("DELETE", "/faults")
        simulator._ask("POST", "/clock", {"seconds": 5})
        orders: Any = client.get("/orders", {"status": "all", "limit": 500})
        client._session.close()
        ledger = simulator.ledger()
    assert sorted(order["client_order_id"] for order in orders) == sorted(
        f"o{number}" for number in range(60)
    )
    assert {order["status"] for order in orders} <= {"filled", "rejected"}
    filled = [order for order in orders if order["status"] == "filled"]
    assert ledger["positions"]["AAPL"] == str(len(filled))
    assert ledger["difference"] == {"cash": "0", "positions": {}, "orders": []}


def _is_there(client: Any, simulator: Simulator, client_order_id: str) -> bool:
    """Look the order up, and submit it if it is not there; any failure is no answer."""
    url = f"{simulator.trading_url}/v2/orders"
    order = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
    try:
        headers = client._get_auth_headers()
        query = {"client_order_id": client_order_id}
        found = requests.get(f"{url}:by_client_order_id", params=query, headers=headers, timeout=10)
        if found.status_code == 404:
            requests.post(url, json={**order, **query}, headers=headers, timeout=10)
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
        simulator._ask("POST", "/clock", {"seconds": 1})
        return False
    if found.status_code != 200:
        simulator._ask("POST", "/clock", {"seconds": 0.5})
    return found.status_code == 200
