"""Starts the simulator as a process of its own, and speaks to its control endpoint, for any test."""

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import requests
from alpaca.data.historical.crypto import CryptoHistoricalDataClient
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.live.websocket import DataStream
from alpaca.trading.client import TradingClient
from alpaca.trading.stream import TradingStream
from waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
REQUEST_TIMEOUT_S = 10.0

_ADDRESSES = ("trading_url", "trading_stream_url", "data_url", "stocks_stream_url", "crypto_stream_url")


class Simulator:
    """One `python -m sim --json ...` on free ports; use it as a context manager.

    `urls` is its first line: trading_url, trading_stream_url, data_url, stocks_stream_url, crypto_stream_url,
    control_url, key, secret; each is an attribute as well.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", urls: dict[str, str], errors: Path) -> None:
        self.process = process
        self.urls = urls
        self.trading_url = urls["trading_url"]
        self.trading_stream_url = urls["trading_stream_url"]
        self.data_url = urls["data_url"]
        self.stocks_stream_url = urls["stocks_stream_url"]
        self.crypto_stream_url = urls["crypto_stream_url"]
        self.control_url = urls["control_url"]
        self.key = urls["key"]
        self.secret = urls["secret"]
        self._errors = errors
        self._session = requests.Session()

    @classmethod
    @contextlib.contextmanager
    def start(cls, *arguments: str) -> Iterator["Simulator"]:
        """Start one with these arguments, and stop it at the end by its pid."""
        with tempfile.TemporaryDirectory() as directory:
            errors = Path(directory) / "stderr"
            with errors.open("wb") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", "sim", "--json", *arguments],
                    cwd=ROOT,
                    stdout=subprocess.PIPE,
                    stderr=stderr,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    start_new_session=True,
                )
            simulator = None
            try:
                simulator = cls(process, _first_line(process, errors), errors)
                yield simulator
            finally:
                if simulator is not None:
                    simulator._session.close()
                _stop(process)
                assert process.stdout is not None
                process.stdout.close()

    @property
    def environment(self) -> dict[str, str]:
        """What a service needs in its environment to take this simulator for Alpaca, keys included."""
        addresses = {f"BACKBONE_{name.upper()}": getattr(self, name) for name in _ADDRESSES}
        return addresses | {"ALPACA_API_KEY": self.key, "ALPACA_SECRET_KEY": self.secret}

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

    def fault(self, name: str, **fields: Any) -> None:
        """Turn a fault on, such as fault("disconnect", stream="stocks")."""
        self._ask("POST", "/faults", {"fault": name, **fields})

    def faults(self) -> list[dict[str, Any]]:
        """Every kind of fault, with its example."""
        kinds: list[dict[str, Any]] = self._ask("GET", "/faults")["faults"]
        return kinds

    def struck(self, name: str) -> int:
        """How often faults of this kind have struck."""
        return next(kind["struck"] for kind in self.faults() if kind["name"] == name)

    def clear_faults(self) -> None:
        """Turn all faults off."""
        self._ask("DELETE", "/faults")

    def ledger(self) -> dict[str, Any]:
        """Orders, fills, cash and positions as the simulator knows them."""
        return self._ask("GET", "/ledger")

    def trade(self, symbol: str, side: str, qty: str, price: str | None = None) -> dict[str, Any]:
        """Trade by hand, behind everybody's back; returns the filled order."""
        order: dict[str, Any] = self._ask(
            "POST", "/trades", {"symbol": symbol, "side": side, "qty": qty, "price": price}
        )["order"]
        return order

    def halt(self, symbol: str) -> None:
        """Halt trading in a share, as its exchange does."""
        self._ask("POST", "/halts", {"symbol": symbol})

    def resume(self, symbol: str) -> None:
        """Let a halted share trade again."""
        self._ask("POST", "/resumes", {"symbol": symbol})

    def news(self, headline: str, *symbols: str) -> None:
        """Publish an article on these symbols, as a news service writes them."""
        self._ask("POST", "/news", {"headline": headline, "symbols": symbols})

    def correct(self, symbol: str, size: int) -> None:
        """Correct the size of the symbol's last trade."""
        self._ask("POST", "/corrections", {"symbol": symbol, "size": size})

    def cancel_trade(self, symbol: str) -> None:
        """Cancel the symbol's last trade."""
        self._ask("POST", "/cancels", {"symbol": symbol})

    def imbalance(self, symbol: str, price: float) -> None:
        """Tell of an order imbalance before an auction, at this price."""
        self._ask("POST", "/imbalances", {"symbol": symbol, "price": price})

    def activity(self, type: str, **fields: str) -> None:
        """Have something that is no trade happen to the account: a dividend, a fee, a transfer."""
        self._ask("POST", "/activities", {"type": type, **fields})

    def split(self, symbol: str, ratio: str) -> None:
        """Split the account's shares."""
        self._ask("POST", "/splits", {"symbol": symbol, "ratio": ratio})

    def state(self) -> dict[str, Any]:
        """tape_finished, is_playing, clients, messages_played, messages_sent."""
        return self._ask("GET", "/state")

    def advance(self, seconds: float) -> None:
        """Let virtual time pass; returns when everything due on the way has happened."""
        self._ask("POST", "/clock", {"seconds": seconds})

    def wait_until(self, condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
        """Ask again until the condition holds; fails, naming what was waited for."""
        wait_until(condition, what, timeout_s=timeout_s)

    def trading_client(self) -> TradingClient:
        """An unmodified alpaca-py client of the account."""
        return TradingClient(self.key, self.secret, paper=True, url_override=self.trading_url)

    def stock_data_client(self) -> StockHistoricalDataClient:
        """An unmodified alpaca-py client of the stock history."""
        return StockHistoricalDataClient(self.key, self.secret, url_override=self.data_url)

    def crypto_data_client(self) -> CryptoHistoricalDataClient:
        """An unmodified alpaca-py client of the crypto history."""
        return CryptoHistoricalDataClient(self.key, self.secret, url_override=self.data_url)

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = self._session.request(method, self.control_url + path, json=body, timeout=REQUEST_TIMEOUT_S)
        if answer.status_code != 200:
            raise ValueError(answer.json()["message"])
        found: dict[str, Any] = answer.json()
        return found


@contextlib.asynccontextmanager
async def running(stream: DataStream | TradingStream) -> AsyncIterator[None]:
    """Run one of alpaca-py's streams in this event loop; ended at once, where its own stop takes 5 s."""
    task = asyncio.create_task(stream._run_forever())
    try:
        yield
    finally:
        # Python 3.11's wait_for, in alpaca-py's loop, loses a cancellation that meets an arriving frame.
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=0.1)
        if not task.cancelled():
            task.result()
        await stream.close()


def _first_line(process: "subprocess.Popen[bytes]", errors: Path) -> dict[str, str]:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
    line = process.stdout.readline() if ready else b""
    if not line:
        raise AssertionError(f"the simulator did not start: {errors.read_text()}")
    urls: dict[str, str] = json.loads(line)
    return urls


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_TIMEOUT_S)
        raise
