"""The suite never gets to an account with real money, nor to anywhere else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from edge import Edge
from target import NotPaper, Target, of_paper

ROOT = Path(__file__).parents[2]
KEYS = {"ALPACA_API_KEY": "PKTEST", "ALPACA_SECRET_KEY": "hush"}


def test_paper_is_paper_and_its_addresses_are_fixed() -> None:
    target = of_paper(KEYS)
    assert target.trading_url == "https://paper-api.alpaca.markets"
    assert target.updates_url == "wss://paper-api.alpaca.markets/stream"
    assert target.data_url == "https://data.alpaca.markets"
    assert target.stream("/v2/iex") == "wss://stream.data.alpaca.markets/v2/iex"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ALPACA_API_KEY": ""}, "ALPACA_API_KEY"),
        ({"ALPACA_SECRET_KEY": ""}, "ALPACA_SECRET_KEY"),
        ({"ALPACA_API_KEY": "AKLIVE"}, "begin with PK"),
        ({"APCA_API_BASE_URL": "https://api.alpaca.markets"}, "APCA_API_BASE_URL"),
        ({"ALPACA_TRADING_URL": "https://paper-api.alpaca.markets.example.com"}, "ALPACA_TRADING_URL"),
    ],
)
def test_anything_that_says_otherwise_is_refused(change: dict[str, str], words: str) -> None:
    with pytest.raises(NotPaper, match=words) as error:
        of_paper(KEYS | change)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets", "wss://api.alpaca.markets/stream", "http://paper-api.alpaca.markets",
        "https://paper-api.alpaca.markets@api.alpaca.markets", "https://127.0.0.1",
    ],
)  # fmt: skip
def test_nothing_is_sent_to_another_host(url: str) -> None:
    def nobody(exchange: object) -> None:
        raise AssertionError(f"{exchange} was sent")

    target = of_paper(KEYS)
    edge = Edge(target, nobody)
    with requests.Session() as session:
        edge.mount(session)
        with pytest.raises(NotPaper):
            target.check(url)
        if url.startswith("http"):
            with pytest.raises(NotPaper):
                session.get(url, timeout=1)
    edge.close()


def test_a_simulator_of_another_machine_is_no_target() -> None:
    with pytest.raises(NotPaper):
        Target(
            kind="simulator", key="k", secret="s", trading_url="http://10.0.0.1",
            updates_url="ws://127.0.0.1", data_url="http://127.0.0.1", streams_url="ws://127.0.0.1",
        )  # fmt: skip


def test_a_target_does_not_show_its_keys() -> None:
    shown = repr(of_paper(KEYS))
    assert "hush" not in shown
    assert "PKTEST" not in shown


def test_without_keys_a_run_on_paper_ends_with_one_sentence() -> None:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
            "tests/conformance", "--conformance-target", "paper",
        ],
        cwd=ROOT,
        env=surroundings | {"ALPACA_API_KEY": "", "ALPACA_SECRET_KEY": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )  # fmt: skip
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert run.stderr == "ERROR: set ALPACA_API_KEY and ALPACA_SECRET_KEY to the keys of a paper account\n\n"
