"""`backbone cancel-all` and `backbone halt --cancel`, against a running demo and against nobody."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from backbone import Demo, backbone, environment

pytestmark = pytest.mark.e2e

# Keeps some orders far below the market, and never cancels one.
PATIENT = '''
from algos import Algorithm, Trade


class Patient(Algorithm):
    """Asks far too low, and waits."""

    def on_trade(self, trade: Trade) -> None:
        if len(self.open_orders) < 12:
            # Of different sizes: the same order again and again would be taken for a loop.
            self.buy(trade.symbol, 1 + len(self.open_orders), limit_price=round(trade.price * 97 / 100, 2))
'''


@pytest.fixture
def demo(home: Path, tmp_path: Path) -> Iterator[Demo]:
    """A demo whose one algorithm has orders that rest."""
    own = tmp_path / "patient.py"
    own.write_text(PATIENT)
    started = Demo(environment(home), tmp_path, "--algo", f"{own}:Patient", "--symbols", "AAPL")
    yield started
    started.leave_nothing()


def test_everything_open_is_canceled_and_said_so(demo: Demo) -> None:
    demo.status_once("orders that rest", lambda found: found["open_orders"] >= 12, timeout_s=40)
    narrow = backbone("cancel-all", "--symbol", "MSFT", "--reason", "drill", "--json", within=demo.within)
    assert (narrow.returncode, json.loads(narrow.stdout)["orders"]) == (0, 0)
    told = backbone("halt", "--cancel", "--reason", "drill", "--json", within=demo.within)
    assert told.returncode == 0, told.stdout + told.stderr
    said = json.loads(told.stdout)
    assert said["halts"]["all"]["reason"] == "drill"
    assert said["canceled"]["orders"] >= 12
    assert said["canceled"]["ended"] == said["canceled"]["orders"]
    assert said["canceled"]["open"] == []
    assert said["canceled"]["ms"] < 1000
    status = demo.status_once("nothing to be open", lambda found: found["open_orders"] == 0)
    assert not status["trading"]
    again = backbone("cancel-all", "--reason", "drill", within=demo.within)
    assert (again.returncode, again.stdout) == (0, "No order was open in all.\n")


def test_without_an_oms_it_says_that_nothing_was_canceled(home: Path, md_url: str, orders_url: str) -> None:
    within = environment(home, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url)
    told = backbone("cancel-all", "--reason", "drill", within=within)
    assert (told.returncode, told.stdout) == (1, "")
    assert "nothing was canceled" in told.stderr
    halted = backbone("halt", "--cancel", "--reason", "drill", within=within)
    assert halted.returncode == 1
    assert "all is halted, but no OMS took it" in halted.stderr
    assert "drill" in backbone("status", "--json", within=within).stdout


def test_a_cancel_needs_a_reason(home: Path, orders_url: str) -> None:
    told = backbone("cancel-all", "--reason", " ", within=environment(home, ORDERS_REDIS_URL=orders_url))
    assert told.returncode == 2
    assert "--reason is empty" in told.stderr
