"""History brought into streams and files: whole, once, and on from where it was interrupted."""

import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import redis
from backbone import COMMAND, backbone, environment
from past_market import START, past_market
from simulator import Simulator
from waiting import wait_until

from bus.codec import market_message
from bus.errors import BackboneError, InvalidInput
from bus.market_messages import Trade
from bus.settings import load
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.data_api.request_budget import RequestBudget
from ingest.settings import IngestSettings
from ops.backfill import bringing
from ops.backfill.asked import Asked, Part
from ops.backfill.bringing import Bringing, Brought
from ops.backfill.destination import Destination
from ops.backfill.into_file import IntoFile
from ops.backfill.into_streams import IntoStreams
from ops.backfill.progress import BackfillProgress

pytestmark = pytest.mark.integration

SECOND_NS = 1_000_000_000
START_NS = round(START.timestamp()) * SECOND_NS
SINCE_NS = 1_795_790_000 * SECOND_NS
TRADES, BARS = Part("AAPL", "trades", "iex"), Part("BTC/USD", "bars", "crypto")


def trade(number: int) -> dict[str, Any]:
    """Three in each second, at the same time."""
    told = {"T": "t", "i": number, "S": "AAPL", "x": "V", "p": 230.0 + number, "s": 5}
    return told | {"t": SINCE_NS + number // 3 * SECOND_NS, "c": ["@"], "z": "C"}


def bar(minute: int) -> dict[str, Any]:
    """One in each minute."""
    told = {"T": "b", "S": "BTC/USD", "o": 1.5, "h": 3.0, "l": 1.0, "c": 2.0, "v": 0.25, "n": 3, "vw": 1.75}
    return told | {"t": SINCE_NS + minute * 60 * SECOND_NS}


PAST = {
    ("AAPL", "trades"): [trade(number) for number in range(60)],
    ("BTC/USD", "bars"): [*map(bar, range(5))],
}


class Past:
    """A history that fails after so many pages, once for each number given, and counts its requests."""

    def __init__(self, *failures: int, error: Exception | None = None) -> None:
        self.failures = list(failures)
        self.error = error or DataUnreachable("no answer")
        self.asked: list[tuple[int, int]] = []

    async def pages(
        self, channel: str, symbols: Sequence[str], since_ns: int, until_ns: int
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Pages of seven."""
        self.asked.append((since_ns, until_ns))
        left = self.failures.pop(0) if self.failures else 1000
        (symbol,) = symbols
        told = [one for one in PAST[symbol, channel] if since_ns <= one["t"] <= until_ns]
        for first in range(0, len(told), 7):
            if not left:
                raise self.error
            left -= 1
            yield told[first : first + 7]


async def bring(
    past: Past, to: Destination, parts: Sequence[Part] = (TRADES, BARS), seconds: int = 1000, name: str = "x"
) -> list[Brought]:
    """Bring these parts from SINCE_NS on."""
    what = Asked(tuple(parts), SINCE_NS, SINCE_NS + seconds * SECOND_NS, name)
    progress = BackfillProgress(len(parts), what.until_ns, RequestBudget(200))
    with progress:
        histories: Any = {"iex": past, "crypto": past}
        return await Bringing(what, histories, to, progress).run()


@pytest.fixture(autouse=True)
def _small_pieces_and_short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IntoStreams, "piece", 4)
    monkeypatch.setattr(IntoFile, "piece", 4)
    monkeypatch.setattr(bringing, "_FIRST_WAIT_S", 0.001)


def into_streams(client: Any) -> IntoStreams:
    """Streams of this name."""
    return IntoStreams(client, "x", load(IngestSettings), print)


async def test_streams_have_every_message_once_as_live_ones_do(market_client: Any) -> None:
    """With two failures on the way, and run again."""
    (trades, bars) = await bring(Past(1, 3), into_streams(market_client))
    assert (trades.where, trades.messages, trades.new) == ("hist:AAPL:trades:x", 60, 60)
    assert (bars.where, bars.messages, bars.new) == ("hist:BTC/USD:bars:x", 5, 5)
    entries = await market_client.xrange("hist:AAPL:trades:x")
    assert [json.loads(fields[b"d"]) for _, fields in entries] == PAST["AAPL", "trades"]
    for id_, fields in entries:
        assert list(fields) == [b"d", b"r", b"feed", b"b"]
        assert (fields[b"feed"], fields[b"b"]) == (b"iex", b"1")
        assert int(id_.split(b"-")[0]) == json.loads(fields[b"d"])["t"] // 1_000_000
        assert isinstance(market_message("trades", fields), Trade)
    ids = [int(id_.split(b"-")[0]) for id_, _ in await market_client.xrange("hist:BTC/USD:bars:x")]
    assert ids == [SINCE_NS // 1_000_000 + 60_000 * minute for minute in range(1, 6)], "when it was over"
    again = Past()
    assert [(one.messages, one.new) for one in await bring(again, into_streams(market_client))] == [
        (60, 0),
        (5, 0),
    ]
    assert again.asked == []


async def test_a_later_end_goes_on_and_everything_else_asked_of_it_is_refused(market_client: Any) -> None:
    (first,) = await bring(Past(), into_streams(market_client), [TRADES], seconds=10)
    assert first.new == 30
    past = Past()
    (more,) = await bring(past, into_streams(market_client), [TRADES], seconds=11)
    assert (more.messages, more.new) == (33, 3)
    assert past.asked == [(SINCE_NS + 10 * SECOND_NS, SINCE_NS + 11 * SECOND_NS - 1)]
    for part, seconds in ((TRADES, 9), (TRADES._replace(feed="sip"), 11)):
        with pytest.raises(InvalidInput, match="hist:AAPL:trades:x has trades of AAPL of iex from 2026"):
            await bring(Past(), into_streams(market_client), [part], seconds=seconds)


async def test_what_another_wrote_or_removed_is_not_touched(market_client: Any) -> None:
    await market_client.xadd("hist:AAPL:trades:x", {"d": "{}"})
    with pytest.raises(InvalidInput, match="hist:AAPL:trades:x is there, and by no backfill"):
        await bring(Past(), into_streams(market_client), [TRADES])
    await market_client.delete("hist:AAPL:trades:x")
    await bring(Past(), into_streams(market_client), [TRADES])
    await market_client.xtrim("hist:AAPL:trades:x", maxlen=59, approximate=False)
    with pytest.raises(InvalidInput, match="has 59 entries and 60 were brought into it"):
        await bring(Past(), into_streams(market_client), [TRADES])
    await market_client.delete("hist:AAPL:trades:x")
    (again,) = await bring(Past(), into_streams(market_client), [TRADES])
    assert (again.messages, again.new) == (60, 60), "ingest removes what nobody reads"


async def test_what_is_removed_meanwhile_leaves_no_hole(market_client: Any) -> None:
    class Slow(Past):
        async def pages(self, *asked: Any) -> AsyncIterator[list[dict[str, Any]]]:
            async for page in super().pages(*asked):
                yield page
                await market_client.delete("hist:AAPL:trades:x")

    with pytest.raises(BackboneError, match="hist:AAPL:trades:x was removed or trimmed meanwhile"):
        await bring(Slow(), into_streams(market_client), [TRADES])
    (again,) = await bring(Past(), into_streams(market_client), [TRADES])
    assert (again.messages, again.new) == (60, 60)


async def test_two_at_once_never_mix(market_client: Any) -> None:
    """The second finds that the first one wrote: it wrote nothing itself."""

    class Overtaken(Past):
        async def pages(self, *asked: Any) -> AsyncIterator[list[dict[str, Any]]]:
            async for page in super().pages(*asked):
                if len(self.asked) == 1:
                    self.asked.append((0, 0))
                    await bring(Past(), into_streams(market_client), [TRADES])
                yield page

    with pytest.raises(BackboneError, match="another backfill writes hist:AAPL:trades:x"):
        await bring(Overtaken(), into_streams(market_client), [TRADES])
    assert await market_client.xlen("hist:AAPL:trades:x") == 60


async def test_live_data_are_not_pushed_out(market_client: Any) -> None:
    """Ingest trims them from a budget of four fifths of the server's limit on, down to nineteen in twenty."""
    used = (await market_client.info("memory"))["used_memory"]
    await market_client.config_set("maxmemory", int(used / 0.8 / 0.95 * 0.99))
    try:
        with pytest.raises(BackboneError, match="is for live data first: give it more"):
            await bring(Past(), into_streams(market_client), [TRADES])
    finally:
        await market_client.config_set("maxmemory", 0)
    assert not await market_client.exists("hist:AAPL:trades:x")


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (403, BackboneError, "trades of AAPL from iex: no, said Alpaca; give an earlier --to"),
        (401, BackboneError, "trades of AAPL from iex: no, said Alpaca$"),
        (400, InvalidInput, "trades of AAPL from iex: no; leave it out"),
    ],
)
async def test_what_alpaca_does_not_give_ends_it_with_its_words(
    code: int, kind: type[Exception], said: str, market_client: Any
) -> None:
    refused = Past(0, error=NotGiven("no, said Alpaca", code, "no"))
    with pytest.raises(kind, match=said):
        await bring(refused, into_streams(market_client), [TRADES])


async def test_an_api_that_does_not_answer_is_given_up_and_what_came_is_kept(market_client: Any) -> None:
    past = Past(1, *[0] * bringing.MOST_TRIES)
    with pytest.raises(BackboneError, match="no answer; what was brought is kept; run"):
        await bring(past, into_streams(market_client), [TRADES])
    assert len(past.asked) == bringing.MOST_TRIES
    (trades,) = await bring(Past(), into_streams(market_client), [TRADES])
    assert (trades.messages, trades.new) == (60, 53)


async def test_a_file_is_there_once_it_is_whole(tmp_path: Path) -> None:
    name = str(tmp_path / "past.parquet")
    with pytest.raises(BackboneError, match="run the same command again"):
        await bring(Past(2, *[0] * bringing.MOST_TRIES), IntoFile(name, ["trades", "bars"]))
    assert os.listdir(tmp_path) == ["past.parquet.parts"]
    # As if it had been killed after a piece, before the record that counts it.
    (tmp_path / "past.parquet.parts" / "trades-AAPL" / "000004.parquet").write_bytes(b"half")
    (trades, bars) = await bring(Past(), IntoFile(name, ["trades", "bars"]))
    assert (trades.where, trades.messages, trades.new, bars.new) == (name, 60, 46, 5)
    assert os.listdir(tmp_path) == ["past.parquet"]
    rows = pq.read_table(name).to_pylist()
    parts = [(row["symbol"], row["channel"], row["feed"]) for row in rows]
    assert parts == [("AAPL", "trades", "iex")] * 60 + [("BTC/USD", "bars", "crypto")] * 5
    assert [(row["id"], row["price"], row["size"], row["at"].value) for row in rows[:60]] == [
        (one["i"], one["p"], one["s"], one["t"]) for one in PAST["AAPL", "trades"]
    ]
    assert (rows[0]["conditions"], rows[0]["open"], rows[0]["update"]) == (["@"], None, None)
    last = rows[-1]
    assert (last["open"], last["close"], last["volume"], last["trade_count"]) == (1.5, 2.0, 0.25, 3)
    assert (last["at"].value, last["price"]) == (SINCE_NS + 240 * SECOND_NS, None)


async def test_a_file_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    """Whoever was killed while it cleared up left the pieces beside it."""
    name = str(tmp_path / "past.parquet")
    await bring(Past(), IntoFile(name, ["trades"]), [TRADES])
    with pytest.raises(InvalidInput, match=r"past.parquet: it is there already; give another name"):
        IntoFile(name, ["trades"])
    os.mkdir(f"{name}.parts")
    with pytest.raises(InvalidInput, match=r"past.parquet: it is whole; what is left .* can be removed"):
        IntoFile(name, ["trades"])


@pytest.mark.parametrize(
    ("name", "said"),
    [("past.csv", "whose name ends in .parquet"), ("nowhere/past.parquet", "there is no directory")],
)
def test_a_file_that_cannot_be_is_refused(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=f"--into .*{said}"):
        IntoFile(str(tmp_path / name), ["trades"])


@pytest.fixture(scope="module")
def market() -> Iterator[Simulator]:
    """Twenty minutes of two shares and a pair."""
    with past_market("--symbols", "AAPL,MSFT,BTC/USD", seconds=1200) as simulator:
        yield simulator


@pytest.mark.e2e
def test_killed_in_the_middle_and_run_again_it_is_whole(
    market: Simulator, md_url: str, orders_url: str, tmp_path: Path
) -> None:
    """The command as it is typed, against the simulator's own history."""
    within = environment(tmp_path / "home", **market.environment) | {
        "MD_REDIS_URL": md_url,
        "ORDERS_REDIS_URL": orders_url,
    }
    typed = ("backfill", "AAPL", "MSFT", "BTC/USD", "--channels", "trades,bars", "--json", "--name", "day")
    typed += ("--from", f"{START:%Y-%m-%dT%H:%M:%SZ}", "--to", "2026-01-05T09:50")
    market.fault("latency", ms=300, on="data")
    with (
        redis.Redis.from_url(md_url) as client,
        subprocess.Popen([*COMMAND, *typed], env=within, stdin=subprocess.DEVNULL) as process,
    ):
        wait_until(lambda: bool(client.exists("hist:AAPL:trades:day")), "the first piece")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not client.exists("hist:BTC/USD:bars:day")
        market.clear_faults()
        told = backbone(*typed, within=within)
        assert told.returncode == 0, told.stderr
        assert market.secret not in told.stdout + told.stderr
        for one in json.loads(told.stdout)["brought"]:
            entries = [json.loads(fields[b"d"]) for _, fields in client.xrange(one["where"])]
            assert len(entries) == one["messages"]
            if one["channel"] == "trades":
                # The simulator numbers each symbol's trades.
                assert [entry["i"] for entry in entries] == list(range(1, len(entries) + 1))
            else:
                minutes = range(START_NS, START_NS + 1200 * SECOND_NS, 60 * SECOND_NS)
                assert [entry["t"] for entry in entries] == list(minutes)
    shown = backbone("tail", "hist:MSFT:trades:day", "--count", "1", within=within)
    assert "hist:MSFT:trades:day  MSFT trade" in shown.stdout
