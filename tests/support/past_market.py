"""A simulated market with a past: two hours of a Monday in virtual time, and questions about it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import requests
from simulator import Simulator

HOUR_S = 3600
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)  # a Monday, as New York opens
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
SYMBOLS = ["AAPL", "MSFT"]


def ask(simulator: Simulator, path: str, status: int = 200, **query: Any) -> Any:
    """What the data API answers to a plain request; fails where its status is another."""
    headers = {"APCA-API-KEY-ID": simulator.key, "APCA-API-SECRET-KEY": simulator.secret}
    answer = requests.get(simulator.data_url + path, params=query, headers=headers, timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def tell(simulator: Simulator, path: str, **body: Any) -> None:
    """Have something happen through the control endpoint."""
    answer = requests.post(simulator.control_url + path, json=body, timeout=60)
    assert answer.status_code == 200, answer.text


@contextmanager
def past_market(*arguments: str, seconds: float = 2 * HOUR_S) -> Iterator[Simulator]:
    """A simulator whose market has played for so long, a few messages a second."""
    given = ("--rate", "3", "--virtual-time", *arguments)
    with Simulator.start(*given) as simulator:
        tell(simulator, "/clock", seconds=seconds)
        yield simulator
