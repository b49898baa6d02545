"""`backbone flatten` and `backbone halt --flatten`, against a running demo and against nobody."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from backbone import Demo, backbone, environment

from bus.flatten_messages import FlattenBegun, FlattenEnded, FlattenOutcome, SymbolFlattenEnded
from bus.order_events import OrderApproved, OrderUpdated
from bus.order_messages import OrderTerms
from ops.flatten.command import sentence
from ops.flatten.progress import Progress

pytestmark = pytest.mark.e2e

# Holds a share and lets orders rest; tells what became of its position when it stops.
HOLDER = '''
from algos import Algorithm, Trade


class Holder(Algorithm):
    """Buys, keeps, and asks far too low as well, for both symbols."""

    def on_trade(self, trade: Trade) -> None:
        if not self.position(trade.symbol) and not self.has_open_order(trade.symbol):
            self.buy(trade.symbol, 3)
        elif not self.has_open_order(trade.symbol):
            self.buy(trade.symbol, 1, limit_price=round(trade.price * 97 / 100, 2))
'''


@pytest.fixture
def demo(home: Path, tmp_path: Path) -> Iterator[Demo]:
    """A demo whose one algorithm holds shares and has orders that rest."""
    own = tmp_path / "holder.py"
    own.write_text(HOLDER)
    started = Demo(environment(home), tmp_path, "--algo", f"{own}:Holder", "--symbols", "AAPL,MSFT")
    yield started
    started.leave_nothing()


def nothing_held(status: dict[str, Any]) -> bool:
    """Whether no algorithm has a position, as it sees it itself."""
    return not any(one["positions"] for one in status["algorithms"].values())


def test_a_flatten_closes_all_says_so_and_a_halt_keeps_it_closed(demo: Demo) -> None:
    demo.status_once("positions and orders", lambda found: found["open_orders"] >= 2, timeout_s=40)
    told = backbone("flatten", "--algo", "holder", "--reason", "drill", within=demo.within)
    assert told.returncode == 0, told.stdout + told.stderr
    lines = told.stdout.splitlines()
    assert lines[-1] == "algorithm:holder is flat."
    assert {"AAPL is flat", "MSFT is flat"} & set(lines)
    demo.status_once("it to trade on", lambda found: found["open_orders"] >= 2)
    halted = backbone("halt", "--flatten", "--reason", "drill", "--json", within=demo.within)
    assert halted.returncode == 0, halted.stdout + halted.stderr
    said = json.loads(halted.stdout)
    assert said["halts"]["all"]["reason"] == "drill"
    assert (said["flattened"]["ended"], said["flattened"]["flat"]) == (True, True)
    assert said["flattened"]["orders_canceled"] >= 2
    assert {one["symbol"]: (one["left"], one["why"]) for one in said["flattened"]["symbols"]}["AAPL"] == (
        "0",
        "",
    )
    status = demo.status_once("nothing to be held", nothing_held)
    assert not status["trading"]
    again = backbone("flatten", "--reason", "drill", within=demo.within)
    assert (again.returncode, again.stdout) == (0, "Nothing was held or open in account:paper.\n")
    demo.interrupt()
    assert demo.end()["consistent"], demo.errors


def test_without_an_oms_it_says_what_to_do(home: Path, md_url: str, orders_url: str) -> None:
    within = environment(home, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url)
    told = backbone("flatten", "--reason", "drill", within=within)
    assert (told.returncode, told.stdout) == (1, "")
    assert "no OMS of account paper is alive: nothing was sent" in told.stderr
    assert "--without-oms" in told.stderr
    halted = backbone("halt", "--flatten", "--reason", "drill", within=within)
    assert halted.returncode == 1
    assert "all is halted, but no OMS of account paper is alive" in halted.stderr


def test_a_flatten_needs_a_reason_and_one_scope(home: Path, orders_url: str) -> None:
    within = environment(home, ORDERS_REDIS_URL=orders_url)
    assert "--reason is empty" in backbone("flatten", "--reason", " ", within=within).stderr
    told = backbone("flatten", "--reason", "x", "--algo", "a", "--symbol", "AAPL", within=within)
    assert (told.returncode, "one scope at a time" in told.stderr) == (2, True)


def test_what_is_left_and_what_is_waited_for_is_said() -> None:
    begun = FlattenBegun(
        entry_id="7-0", scope="account:paper", reason="r", by="b", orders=("old",), positions={}, prices={},
        at_ns=1,
    )  # fmt: skip
    progress = Progress(begun)
    terms = OrderTerms(symbol="AAPL", side="sell", quantity=Decimal(10))
    progress.take(
        [
            OrderApproved(
                algorithm="alpha", client_order_id="new", terms=terms, reserve_price=Decimal(0),
                trigger="flatten 7-0", received_ns=1, requested_ns=1, approved_ns=1,
            ),
            OrderUpdated(
                algorithm="alpha", client_order_id="new", broker_order_id="b", symbol="AAPL", event="new",
                status="new", filled_quantity=Decimal(4), at_ns=1,
            ),
        ]
    )  # fmt: skip
    assert progress.under_way() == [
        "still open, its cancel was asked for: old",
        "AAPL: sell 10 at the market is new, 4 filled",
    ]
    assert "the OMS goes on with it" in sentence(progress)
    left = FlattenOutcome(symbol="AAPL", left=Decimal(6), why="the order was refused: not tradable")
    lines = progress.take(
        [
            SymbolFlattenEnded(entry_id="7-0", outcome=left, at_ns=1),
            FlattenEnded(entry_id="7-0", scope="account:paper", outcomes=(left,), at_ns=1),
        ]
    )
    assert lines == ["AAPL: 6 left, the order was refused: not tradable"]
    assert (progress.ended, progress.flat) == (True, False)
    assert sentence(progress) == "account:paper is NOT flat: see above what is left and why."
