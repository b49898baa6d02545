"""Requests of the control endpoint to the market that cannot be carried out."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from simulator import Simulator


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator.start("--symbols", "AAPL,BTC/USD", "--virtual-time") as started:
        yield started


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/halts", {"symbol": "AAPL", "reason": "boredom"}, "reason"),
        ("/halts", {"symbol": "BTC/USD"}, "symbol"),
        ("/halts", {"symbol": "ZZZZ"}, "symbol"),
        ("/halts", {}, "symbol"),
        ("/resumes", {"symbol": "AAPL"}, "symbol"),
        ("/corrections", {"symbol": "AAPL", "id": 10**9}, "id"),
        ("/corrections", {"symbol": "AAPL", "price": -1}, "price"),
        ("/cancels", {"symbol": "AAPL", "id": 10**9}, "id"),
        ("/cancels", {"symbol": "AAPL", "why": "?"}, "why"),
        ("/late_trades", {"symbol": "ZZZZ"}, "symbol"),
        ("/imbalances", {"symbol": "AAPL"}, "price"),
        ("/news", {"symbols": ["AAPL"]}, "headline"),
        ("/news", {"headline": "x" * 5000}, "headline"),
    ],
)
def test_what_cannot_happen_is_said_in_a_sentence(
    simulator: Simulator, path: str, body: dict[str, Any], named: str
) -> None:
    answer = requests.post(simulator.control_url + path, json=body, timeout=10)
    assert answer.status_code == 400
    assert named in answer.json()["message"]
