"""What a person sees: every figure of the status, the halt above all, at any width."""

import io
import time
from decimal import Decimal

import pytest
from rich.console import Console

from bus.codec import Message
from bus.events import EVENTS
from bus.heartbeat import FlattenDetails
from bus.market_messages import GapClosed, Quote
from bus.order_events import OrderFilled, OrderRefused
from bus.order_messages import REQUESTS, OrderTerms, Reason
from ops.message_lines import _LINES, message_line, number
from ops.running import Servers
from ops.status.model import AlgorithmStatus, Feed, HaltedScope, OmsStatus, Process, Status
from ops.status.still import still
from ops.status.totals import RunTotals
from ops.terminal.live import LiveView, sparkline
from ops.terminal.view import PlainView, hints

LATENCY: dict[str, dict[str, float | None]] = {
    span: {"p50": 410.0, "p99": 1200.0}
    for span in ("tick_to_request", "request_to_approved", "tick_to_approved", "approved_to_sent")
}
FILL = OrderFilled(
    algorithm="cross",
    client_order_id="bb-cross-1",
    broker_order_id="b",
    execution_id="e",
    symbol="AAPL",
    side="buy",
    quantity=Decimal(10),
    price=Decimal("230.12"),
    filled_quantity=Decimal(10),
    status="filled",
    at_ns=1,
)


def status(**changes: object) -> Status:
    given: dict[str, object] = {
        "at_ns": time.time_ns(),
        "account": "paper",
        "trading": True,
        "why_not": [],
        "processes": {"oms": Process(4242, "ready", restarts=1), "sim": Process(4243, "running")},
        "halts": {},
        "halts_known": True,
        "algorithms": {"cross": AlgorithmStatus("leader", 7, {"AAPL": "10"}, "12.5", 2)},
        "symbols": {"AAPL": "230.12"},
        "feed": Feed(1234.4, 99, 0, {"stocks": True}),
        "open_orders": 1,
        "latency_us": LATENCY,
        "streams": {"md:AAPL:trades": 5},
        "recent": ((1_700_000_000_000, FILL),),
    }
    return Status(**(given | changes))  # type: ignore[arg-type]


def totals() -> RunTotals:
    counted = RunTotals()
    counted.journalled(FILL)
    counted.approved = 3
    return counted


def drawn(shown: Status, width: int, height: int = 40) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    view = LiveView("backbone demo", console)
    view.hint([("backbone halt --reason lunch", "no new orders")])
    view.say("oms runs again as pid 4242")
    with console.capture() as capture:
        console.print(view.drawn(shown, totals()))
    return capture.get()


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_view_shows_what_matters(width: int) -> None:
    text = drawn(status(), width)
    for word in (
        "1,234 ticks/s", "AAPL", "230.12", "cross", "leader", "10 AAPL", "+12.50", "410 µs", "TRADING",
        "cross: bought 10 AAPL at 230.12", "backbone halt --reason lunch", "oms runs again",
    ):  # fmt: skip
        assert word in text, word
    assert all(len(line) <= width for line in text.splitlines())


def test_an_algorithm_that_failed_says_why() -> None:
    failed = AlgorithmStatus("aborted", failure="RuntimeError: boom at entry 5-0")
    assert "cross: RuntimeError: boom at entry 5-0" in drawn(status(algorithms={"cross": failed}), 120)


def test_the_single_look_shows_the_books_digest_and_where_it_stands() -> None:
    held = OmsStatus(
        "-2301.2",
        "500",
        1,
        3,
        "1f" * 16,
        "1700000000000-0",
        "900123",
        "live",
        ("buy 10 AAPL limit at 99: new, 61e69015",),
        {"order 0ddba11": "it has no symbol"},
    )
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(still(status(oms=held)))
    text = capture.get()
    assert "cash -2301.2, reserved 500, uncertain orders 1, limits version 3" in text
    assert f"digest {held.digest} at journal entry 1700000000000-0" in text
    assert "made elsewhere: buy 10 AAPL limit at 99: new, 61e69015" in text
    assert "not understood: order 0ddba11: it has no symbol" in text
    assert "account paper: Alpaca's LIVE account 900123" in text


def test_a_flatten_under_way_and_a_server_that_is_away_are_shown() -> None:
    left = ("AAPL: 10 left; its order is new",)
    under_way = FlattenDetails(scope="account:paper", by="ann", reason="out", since_ns=1, left=left)
    held = OmsStatus("0", "0", 0, 0, "", "", "", "", flattening=(under_way,))
    shown = status(at_ns=12_000_000_001, oms=held, market_data_away="MD_REDIS_URL: no server answers")
    console = Console(file=io.StringIO(), width=80, force_terminal=False)
    with console.capture() as capture:
        console.print(still(shown))
    for text in (capture.get(), drawn(shown, 100)):
        assert "FLATTENING account:paper for 12 s: out (by ann)" in text
        assert "AAPL: 10 left; its order is new" in text
    assert "NO MARKET DATA: MD_REDIS_URL: no server answers" in capture.get()


def test_an_account_is_shown_only_where_an_oms_says_it() -> None:
    unknown = OmsStatus("0", "0", 0, 0, "", "", "", "")
    for found in (None, unknown):
        console = Console(file=io.StringIO(), width=80, force_terminal=False)
        with console.capture() as capture:
            console.print(still(status(oms=found)))
        assert "account paper: which of Alpaca's it is, no OMS says now" in capture.get()


def test_a_wide_view_names_the_processes() -> None:
    text = drawn(status(), 130).replace("\N{NO-BREAK SPACE}", " ")
    assert "oms 4242 restarted 1x" in text
    assert "sim 4243" in text


def test_a_halt_cannot_be_overlooked() -> None:
    halts = {"all": HaltedScope("halted", "prices look wrong", "ann@desk", 1)}
    text = drawn(status(trading=False, halts=halts), 100)
    assert "HALTED all: prices look wrong (by ann@desk)" in text
    assert "HELD" in text
    assert "cancels still pass" in text


def test_the_view_fits_the_screen_with_many_orders() -> None:
    many = tuple((1_700_000_000_000 + number, FILL) for number in range(200))
    assert len(drawn(status(recent=many), 120, 40).splitlines()) <= 40


def test_before_the_first_order_it_says_why_there_is_none() -> None:
    text = drawn(status(recent=(), symbols={}, trading=False, why_not=["the OMS is not running"]), 100)
    assert "none yet: the OMS is not running" in text
    assert "waiting for the first tick" in text


def test_the_still_picture_has_processes_and_streams() -> None:
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as capture:
        console.print(still(status()))
    text = capture.get()
    assert "4242" in text
    assert "md:AAPL:trades" in text


def test_a_plain_line_says_that_it_starts_until_an_oms_was_seen_and_then_that_there_is_none() -> None:
    out = io.StringIO()
    gone = status(trading=False, why_not=["the OMS is not running"], oms=None)
    with PlainView(out) as view:
        view.show(gone, totals())
        view.show(status(), totals())
        view.show(gone, totals())
    first, second, third = out.getvalue().splitlines()
    assert first.endswith("starting: the OMS is not there yet")
    assert second.endswith("trading")
    assert third.endswith("not trading: the OMS is not running")


def test_a_run_in_which_something_failed_is_not_called_trading() -> None:
    out = io.StringIO()
    part = status(failed={"algo-x": "algo-x failed"}, refusing={"market": "OOM full"})
    with PlainView(out) as view:
        view.show(part, totals())
    words = "not all is trading: algo-x failed; the market-data server takes nothing now: OOM full"
    assert out.getvalue().endswith(f", {words}\n")
    assert "IN PART" in drawn(part, 100)
    assert "TRADING" not in drawn(part, 100)
    assert words in drawn(part, 100)
    console = Console(file=io.StringIO(), width=120, force_terminal=False)
    with console.capture() as capture:
        console.print(still(part))
    assert capture.get().startswith("● TRADING IN PART")
    assert words in capture.get()


def test_plain_lines_sum_up() -> None:
    out = io.StringIO()
    with PlainView(out) as view:
        view.show(status(), totals())
        view.show(status(trading=False, why_not=["halted: lunch"]), totals())
    assert "1,234 ticks/s, 3 approved, 1 fills, tick to order 410 µs, trading" in out.getvalue()
    assert "not trading: halted: lunch" in out.getvalue()


def test_a_sparkline_spans_its_lowest_and_highest() -> None:
    assert sparkline([Decimal(1), Decimal(2), Decimal(3)]) == "▁▄█"
    assert sparkline([Decimal(5)] * 3) == "▁▁▁"


def test_every_message_of_orders_has_a_sentence() -> None:
    assert {message.__name__ for message in (*REQUESTS, *EVENTS)} <= {kind.__name__ for kind in _LINES}


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (FILL, "cross: bought 10 AAPL at 230.12"),
        (
            OrderRefused(
                algorithm="cross",
                client_order_id="c",
                by="risk",
                reasons=(Reason(code="halted", message="all is halted"),),
                at_ns=1,
                terms=OrderTerms(
                    symbol="AAPL", side="sell", quantity=Decimal("1.50"), limit_price=Decimal(9)
                ),
            ),
            "cross: refused by risk sell 1.5 AAPL limit 9 c, halted: all is halted",
        ),
    ],
)
def test_messages_read_as_sentences(message: Message, text: str) -> None:
    assert message_line(message) == text


def test_market_messages_read_as_sentences() -> None:
    quote = Quote(
        symbol="AAPL",
        bid_price=Decimal("1.10"),
        bid_size=Decimal(2),
        ask_price=Decimal("1.2"),
        ask_size=Decimal(300),
        at_ns=1,
    )
    assert message_line(quote) == "AAPL quote bid 1.1 x 2, ask 1.2 x 300"
    closed = GapClosed(feed="stocks", since_ns=0, until_ns=2_500_000_000)
    assert message_line(closed) == "gap closed: the stocks feed was back after 2.5 s; what was missed is lost"
    filled = GapClosed(feed="stocks", since_ns=0, until_ns=2_500_000_000, backfilled=3, history="hist:x")
    assert message_line(filled).endswith("3 entries from history, in hist:x")


def test_numbers_have_no_exponents() -> None:
    assert [number(Decimal(text)) for text in ("100", "0.00", "1E+3", "0.10")] == ["100", "0", "1000", "0.1"]


def test_both_servers_can_be_looked_into_where_redis_cli_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ops.terminal.view.shutil.which", lambda name: f"/usr/bin/{name}")
    found = Servers("unix:///md.sock", "unix:///orders.sock", "paper")
    raw = [
        command for command, _ in hints(found, (7001, 7002), ["SPY"], named=True) if "redis-cli" in command
    ]
    assert raw == [
        "redis-cli -p 7001 XREVRANGE md:SPY:trades + - COUNT 3",
        "redis-cli -p 7002 XREVRANGE 'orders:{paper}:journal' + - COUNT 3",
    ]
    given = [command for command, _ in hints(found, None, ["SPY"], named=False)]
    assert all("redis-cli" not in command and "ORDERS_REDIS_URL=" in command for command in given)
