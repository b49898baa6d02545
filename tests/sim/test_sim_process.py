"""The simulator as a process: start, refusals, end, and playing a file."""

import json
import signal
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockBarsRequest, StockTradesRequest
from alpaca.data.timeframe import TimeFrame
from simulator import ROOT, Simulator
from websockets.asyncio.client import ClientConnection, connect

from sim.times import SECOND_NS, parse_ns

KEYS = [
    "trading_url", "trading_stream_url", "data_url",
    "market_stream_url", "stocks_stream_url", "crypto_stream_url",
    "options_stream_url", "news_stream_url", "test_stream_url",
    "control_url", "key", "secret",
]  # fmt: skip


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "sim", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=30
    )


def recording(directory: Path) -> Path:
    path = directory / "tape.ndjson"
    lines: list[dict[str, Any]] = []
    for minute in range(3):
        for second in (0, 30):
            at = f"2013-10-08T13:{30 + minute}:{second:02}.000000000Z"
            price = 50 + minute + second / 100
            lines.append({"T": "q", "S": "AIG", "t": at, "bp": price, "bs": 1, "ap": price + 0.01, "as": 2})
            lines.append({"T": "t", "S": "AIG", "t": at, "i": len(lines), "p": price, "s": 100})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


async def ask(opened: ClientConnection, **message: Any) -> None:
    await opened.send(json.dumps(message))
    await opened.recv()


async def hear_trades(simulator: Simulator, count: int) -> list[dict[str, Any]]:
    async with connect(simulator.stocks_stream_url) as opened:
        await opened.recv()
        await ask(opened, action="auth", key=simulator.key, secret=simulator.secret)
        await ask(opened, action="subscribe", trades=[])
        await ask(opened, action="subscribe", trades=["*"])
        heard: list[dict[str, Any]] = []
        while len(heard) < count:
            heard += json.loads(await opened.recv())
        return heard


def test_the_first_line_is_one_object_and_a_signal_ends_it_cleanly() -> None:
    with Simulator.start() as simulator:
        assert list(simulator.urls) == KEYS
        assert simulator.trading_stream_url.endswith("/stream")
        assert simulator.stocks_stream_url.endswith("/v2/iex")
        assert simulator.crypto_stream_url.endswith("/v1beta3/crypto/us")
        simulator.process.send_signal(signal.SIGINT)
        assert simulator.process.wait(10) == 0
        assert simulator.errors == ""


def test_people_are_told_how_to_use_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "sim"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    text = ""
    while "/faults" not in text:
        text += process.stdout.readline()
    process.terminate()
    _, errors = process.communicate(timeout=10)
    assert "TradingClient(" in text
    assert (process.returncode, errors) == (0, "")


def test_help_shows_an_example() -> None:
    helped = run("--help")
    assert helped.returncode == 0
    assert "--bar-seconds 1" in helped.stdout


def test_bad_input_is_one_sentence_and_exit_code_two(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ndjson"
    broken.write_text('{"T":"t","S":"AIG","t":"2013-10-08T13:30:00Z","p":1,"s":1}\n{"T":"t"}\n')
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        cases = [
            (("--port", port), f"port {port}"),
            (("--control-port", port), "--control-port"),
            (("--host", "no.such.host.invalid", "--key", "K", "--secret", "S"), "no.such.host.invalid"),
            (("--host", "0.0.0.0"), "--key"),
            (("--rate", "-1"), "--rate is '-1'"),
            (("--data", str(tmp_path / "missing.ndjson")), "missing.ndjson"),
            (("--data", str(broken)), "line 2"),
        ]
        for arguments, words in cases:
            ended = run("--json", *arguments)
            assert (ended.returncode, ended.stdout) == (2, ""), arguments
            assert words in ended.stderr
            assert len(ended.stderr.strip().splitlines()) == 1


async def test_a_recording_is_played_once_somebody_listens_and_then_it_is_over(tmp_path: Path) -> None:
    with Simulator.start("--data", str(recording(tmp_path)), "--speed", "600") as simulator:
        async with connect(simulator.stocks_stream_url) as opened:
            await opened.recv()
            await ask(opened, action="auth", key=simulator.key, secret=simulator.secret)
            await ask(opened, action="subscribe", trades=[])
            assert not simulator.state()["is_playing"], "played to nobody"
        heard = await hear_trades(simulator, 6)
        simulator.wait_until(lambda: simulator.state()["tape_finished"], "the tape is over")
        assert [message["p"] for message in heard] == [50, 50.3, 51, 51.3, 52, 52.3]
        assert heard[0]["t"] > "2026"
        assert simulator.state()["messages_sent"] == 6
        assert simulator.process.poll() is None


async def test_kept_times_make_a_history_of_then(tmp_path: Path) -> None:
    tape = ("--data", str(recording(tmp_path)), "--speed", "600", "--keep-times")
    with Simulator.start(*tape) as simulator:
        heard = await hear_trades(simulator, 6)
        simulator.wait_until(lambda: simulator.state()["tape_finished"], "the tape is over")
        client: StockHistoricalDataClient = simulator.stock_data_client()
        day = datetime(2013, 10, 8, tzinfo=UTC)
        trades = client.get_stock_trades(StockTradesRequest(symbol_or_symbols="AIG", start=day))
        asked = StockBarsRequest(symbol_or_symbols="AIG", start=day, timeframe=TimeFrame.Minute)
        bars = client.get_stock_bars(asked)
        client._session.close()
    assert heard[0]["t"] == "2013-10-08T13:30:00Z"
    assert [trade.price for trade in trades.data["AIG"]] == [message["p"] for message in heard]
    found = [(bar.open, bar.close, bar.volume, bar.trade_count) for bar in bars.data["AIG"]]
    assert found == [(50, 50.3, 200, 2), (51, 51.3, 200, 2), (52, 52.3, 200, 2)]


@pytest.mark.parametrize("rate", ["1000", "4000"])
async def test_a_rate_means_that_many_messages(rate: str) -> None:
    with Simulator.start("--rate", rate) as simulator:
        heard = await hear_trades(simulator, int(rate) // 4)
    seconds = (parse_ns(heard[-1]["t"]) - parse_ns(heard[0]["t"])) / SECOND_NS
    # A quarter of the messages are trades, and five of six symbols are shares; the seed draws them. Their
    # times do not depend on how busy a machine is.
    assert 2 / 3 < len(heard) / seconds / (int(rate) / 4 * 5 / 6) < 3 / 2
