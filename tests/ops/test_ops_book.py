"""`backbone reconcile`, `positions assign` and `corporate-action` on a running demo, and on nothing."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from backbone import Demo, backbone, environment

pytestmark = pytest.mark.e2e

# Watches, and never orders: nothing moves but what the test moves.
QUIET = '''
from algos import Algorithm


class Quiet(Algorithm):
    """Only looks."""
'''


@pytest.fixture
def demo(home: Path, tmp_path: Path) -> Iterator[Demo]:
    """A demo whose one algorithm does nothing."""
    own = tmp_path / "quiet.py"
    own.write_text(QUIET)
    started = Demo(environment(home), tmp_path, "--algo", f"{own}:Quiet", "--symbols", "AAPL")
    yield started
    started.leave_nothing()


def at_simulator(url: str, path: str, **body: str) -> None:
    """Something happens on the account behind our back."""
    request = urllib.request.Request(url + path, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def test_the_books_of_an_account_on_which_others_act(demo: Demo) -> None:
    found = demo.status_once("it to trade", lambda one: one["trading"], timeout_s=40)
    simulator, within = found["simulator"], demo.within
    # Told on the stream and by the account's activities: the book has it.
    at_simulator(simulator, "/trades", symbol="AAPL", side="buy", qty="8")
    at_simulator(simulator, "/activities", type="DIV", symbol="AAPL", net_amount="2.5")
    told = backbone("reconcile", "--json", within=within)
    assert (told.returncode, json.loads(told.stdout)["agrees"]) == (0, True), told.stdout + told.stderr
    moved = backbone("positions", "assign", "AAPL", "3", "--to", "quiet", "--reason", "x", within=within)
    assert "3 AAPL of external are quiet's now" in moved.stdout, moved.stderr
    moved_to = {"positions": {"AAPL": "3"}}
    demo.status_once(
        "algorithm and OMS to show it",
        lambda one: (
            moved_to.items() <= one["algorithms"]["quiet"].items()
            and moved_to.items() <= one["oms"]["books"].get("quiet", {}).items()
        ),
    )
    # A split of which nobody told the book.
    at_simulator(simulator, "/splits", symbol="AAPL", ratio="4:1")
    told = backbone("reconcile", within=within)
    assert told.returncode == 1
    assert "differs: AAPL: 8 in the book, 32 at the broker" in told.stdout
    demo.status_once(
        "its symbol to be halted, and what is not explained",
        lambda one: "symbol:AAPL" in one["halts"] and one["oms"]["unexplained"] == {"AAPL": "24"},
    )
    split = backbone("corporate-action", "split", "AAPL", "4:1", "--reason", "x", within=within)
    assert "4 for 1 AAPL: booked for external, quiet." in split.stdout, split.stderr
    agreed = backbone("reconcile", within=within)
    assert (agreed.returncode, agreed.stdout) == (
        0, "books agree: orders, positions and cash, asked just now\n",
    )  # fmt: skip
    twice = backbone("corporate-action", "split", "AAPL", "4:1", "--reason", "x", within=within)
    assert (twice.returncode, "the same was booked" in twice.stderr) == (2, True)


def test_without_an_oms_nothing_is_said_to_be_done(home: Path, md_url: str, orders_url: str) -> None:
    within = environment(home, MD_REDIS_URL=md_url, ORDERS_REDIS_URL=orders_url)
    told = backbone("positions", "assign", "AAPL", "3", "--to", "quiet", "--reason", "x", within=within)
    assert (told.returncode, told.stdout) == (1, "")
    assert "nothing was assigned" in told.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("reconcile", "--accept", "AAPL"), "--reason is empty"),
        (("reconcile", "--reason", "x"), "--reason goes with"),
        (("positions", "assign", "AAPL", "x", "--to", "a", "--reason", "x"), "QUANTITY is 'x'"),
        (("corporate-action", "split", "AAPL", "4", "--reason", "x"), "RATIO is '4'"),
    ],
)
def test_bad_input_is_named(home: Path, arguments: tuple[str, ...], named: str) -> None:
    told = backbone(*arguments, within=environment(home))
    assert (told.returncode, told.stdout) == (2, "")
    assert named in told.stderr
