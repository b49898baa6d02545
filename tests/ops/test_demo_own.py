"""The demo with one's own algorithm, servers and data; halted from outside, interrupted, or killed."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from backbone import Demo, alive, backbone, environment
from simulator import Simulator
from waiting import wait_until

from bus import streams

pytestmark = pytest.mark.e2e

JOURNAL = streams.journal("paper")

# Rests one order far below the market for each trade, and cancels it with the next halt.
RESTING = '''
from algos import Algorithm, Trade


class Resting(Algorithm):
    """Asks far too low, again and again, and cancels all when trading is halted."""

    def prepare(self) -> None:
        self.asked = 0

    def on_trade(self, trade: Trade) -> None:
        self.asked += 1
        if self.asked % 10 == 0 and len(self.open_orders) < 5:
            self.buy(trade.symbol, 1, limit_price=round(trade.price * 97 / 100, 2))

    def on_kill_switch(self, message: object) -> None:
        for order in self.open_orders:
            self.cancel(order.client_order_id)
'''


@pytest.fixture
def demos(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []

    def start(*arguments: str, **extra: str) -> Demo:
        started.append(Demo(environment(tmp_path / "home", **extra), tmp_path, *arguments))
        return started[-1]

    yield start
    for demo in started:
        demo.leave_nothing()


def journal(client: Any, kind: str, since: str = "-") -> list[tuple[str, dict[str, Any]]]:
    """Entries of one type, with their ids."""
    return [
        (id_.decode(), json.loads(fields[b"data"]))
        for id_, fields in client.xrange(JOURNAL, since)
        if fields[b"type"].decode() == kind
    ]


def test_a_halt_from_another_terminal_stops_orders_and_lets_cancels_pass(
    demos: Callable[..., Demo], tmp_path: Path, md_url: str, orders_url: str
) -> None:
    """On the user's own servers, with the user's own algorithm, ended by Ctrl-C."""
    own = tmp_path / "resting.py"
    own.write_text(RESTING)
    servers = {"MD_REDIS_URL": md_url, "ORDERS_REDIS_URL": orders_url}
    demo = demos("--algo", f"{own}:Resting", "--symbols", "AAPL", **servers)
    with redis.Redis.from_url(orders_url) as client:
        wait_until(lambda: len(journal(client, "OrderSent")) >= 2, "orders at the broker", timeout_s=40)
        before = time.monotonic()
        halted = backbone("halt", "--reason", "drill", "--json", within=demo.within)
        took_s = time.monotonic() - before
        said = json.loads(halted.stdout)
        assert said["halts"]["all"]["reason"] == "drill"
        assert said["cancels_pass"]
        assert took_s < 10
        (halt_id, _), *_ = client.xrevrange(streams.CONTROL, count=1)

        def cancelled() -> bool:
            updates = journal(client, "OrderUpdated", halt_id.decode())
            return any(update["status"] == "canceled" for _, update in updates)

        wait_until(cancelled, "a cancel that passed the halt")
        wait_until(lambda: bool(journal(client, "OrderRefused", halt_id.decode())), "a refusal")
        refusal = journal(client, "OrderRefused", halt_id.decode())[-1]
        assert refusal[1]["reasons"][0]["code"] == "halted"
        # Whatever was approved had been decided before the halt was known: within half a second of it.
        late = journal(client, "OrderApproved", f"{int(halt_id.split(b'-')[0]) + 500}-0")
        assert late == []
        resumed = backbone("resume", "--reason", "over", within=demo.within)
        assert resumed.stdout.startswith("Nothing is halted: trading goes on.\nLifted in the halt file ")
        after, _ = client.xrevrange(streams.CONTROL, count=1)[0]
        wait_until(lambda: bool(journal(client, "OrderApproved", after.decode())), "orders after the resume")
        demo.interrupt()
        summary = demo.end()
        assert (demo.process.returncode, summary["differences"]) == (0, [])
        assert summary["refused"]["halted"] > 0
        assert not summary["halted"]
        # The streams stay in the user's servers, and hold what the summary says.
        for name in (JOURNAL, streams.account("paper"), streams.requests("paper", "resting")):
            assert client.xlen(name) == summary["streams"][name]
    with redis.Redis.from_url(md_url) as market:
        assert market.xlen("md:AAPL:trades") == summary["streams"]["md:AAPL:trades"]


def recording(directory: Path) -> Path:
    """Twelve seconds of two symbols as recorded data: prices that swing, and quotes around them."""
    lines = []
    for step in range(600):
        at = f"2024-01-02T14:{30 + step // 3000:02d}:{step // 50 % 60:02d}.{step % 50 * 20:03d}000000Z"
        for symbol, base in (("IBM", 100), ("XYZW", 20)):
            price = base + (1 if step // 60 % 2 else -1) * 0.5 + step % 7 * 0.01
            quote = {"T": "q", "S": symbol, "t": at, "bp": round(price - 0.01, 2), "bs": 500,
                     "ap": round(price + 0.01, 2), "as": 500}  # fmt: skip
            trade = {"T": "t", "S": symbol, "t": at, "p": round(price, 2), "s": 10, "i": step + 1}
            lines += [json.dumps(quote), json.dumps(trade)]
    path = directory / "day.ndjson"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_recorded_data_are_played_and_end_the_run(demos: Callable[..., Demo], tmp_path: Path) -> None:
    demo = demos("--data", str(recording(tmp_path)), "--speed", "3")
    summary = demo.end()
    assert (demo.process.returncode, summary["differences"]) == (0, [])
    # 600 trades each, and bars besides.
    assert summary["streams"]["md:IBM:trades"] == summary["streams"]["md:XYZW:trades"] == 600
    assert summary["fills"] > 0


def test_a_killed_supervisor_leaves_nobody_behind(demos: Callable[..., Demo]) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("the kernel's help is Linux's")
    demo = demos()
    found = demo.status_once("every process", lambda status: len(status["processes"]) == 8)
    pids = [process["pid"] for process in found["processes"].values()]
    os.kill(found["processes"]["supervisor"]["pid"], signal.SIGKILL)
    demo.process.wait(10)
    wait_until(lambda: not alive(pids), "the end of all its processes", timeout_s=40)
    told = backbone("status", within=demo.within)
    assert (told.returncode, "nothing is running" in told.stderr) == (2, True)


@pytest.fixture
def alpaca() -> Iterator[dict[str, str]]:
    """The simulator in Alpaca's place: the environment of somebody who has keys."""
    with Simulator.start("--bar-seconds", "1", "--symbols", "AAPL,MSFT") as simulator:
        yield simulator.environment


def test_up_trades_with_keys_and_keeps_its_journal(alpaca: dict[str, str], home: Path) -> None:
    """Two runs: the second reads the journal of the first, and neither shows a key anywhere."""
    within = environment(home, **alpaca)
    arguments = ("up", "--symbols", "AAPL,MSFT", "--json", "--seconds")
    first = backbone(*arguments, "7", within=within)
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout)
    assert summary["fills"] > 0
    assert summary["differences"] == []
    second = backbone(*arguments, "5", within=within)
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout)["requests"] < 100
    for secret in (alpaca["ALPACA_API_KEY"], alpaca["ALPACA_SECRET_KEY"]):
        assert all(secret not in told.stdout + told.stderr for told in (first, second))
        kept = [path for path in home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert kept == []


def test_up_with_wrong_keys_is_one_sentence(alpaca: dict[str, str], home: Path) -> None:
    within = environment(home, **(alpaca | {"ALPACA_SECRET_KEY": "not-the-secret"}))
    told = backbone("up", "--symbols", "AAPL", "--seconds", "20", within=within)
    assert told.returncode == 2
    assert "ALPACA_SECRET_KEY" in told.stderr
    assert "not-the-secret" not in told.stdout + told.stderr
    assert "Traceback" not in told.stderr


FAILS = '''
from algos import Algorithm, Trade


class Fails(Algorithm):
    """Fails at its first trade."""

    def on_trade(self, trade: Trade) -> None:
        raise RuntimeError("thirteen")
'''


def test_a_run_in_which_an_algorithm_failed_is_not_called_trading_and_ends_with_1(
    demos: Callable[..., Demo], tmp_path: Path, md_url: str, orders_url: str
) -> None:
    own = tmp_path / "fails.py"
    own.write_text(FAILS)
    servers = {"MD_REDIS_URL": md_url, "ORDERS_REDIS_URL": orders_url}
    demo = demos("--algo", f"{own}:Fails", "--symbols", "AAPL", **servers)
    wait_until(
        lambda: "not all is trading: fails aborted: on_trade raised" in demo.errors, "the line to say so"
    )
    demo.interrupt()
    summary = demo.end()
    assert demo.process.returncode == 1
    assert (summary["consistent"], len(summary["failed"])) == (True, 1)
    assert summary["failed"][0].startswith("fails aborted: on_trade raised RuntimeError: thirteen")
