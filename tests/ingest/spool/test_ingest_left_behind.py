"""Spools of what is not served any more: taken over where that is safe, and told where it is not."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgpack
import pytest
from ingest_run import running, settings_for
from waiting import until

from bus.market_batch import MarketBatch
from ingest import service
from ingest.spool import spool_records
from ingest.spool.adoption import adopt
from ingest.spool.directories import directory_of, market_directory, note_server
from ingest.spool.dropping import Dropping
from ingest.spool.left_behind import LeftSpools
from ingest.spool.market_records import MarketRecords, SpooledFeed
from ingest.spool.spool import Spool
from ingest.spool.unwritten import Unwritten

URL, OTHER_URL = "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6380/0"


def put(directory: Path, *payloads: bytes, confirmed: int = 0) -> None:
    """Spool these, of which so many are confirmed."""
    spool = Spool(directory)
    size = len(spool_records.packed(payloads[:confirmed]))
    spool.append(payloads)
    if confirmed:
        spool.read(size)
        spool.confirm()
    spool.close()


def held(directory: Path) -> list[bytes]:
    spool = Spool(directory)
    found = spool.read(10**6) + spool.read(10**6)
    spool.close()
    return [one for one in found if isinstance(one, bytes)]


def size(*payloads: bytes) -> int:
    """What records of these take on disk."""
    return len(spool_records.packed(payloads))


def at(directory: Path, second: int) -> None:
    """Have it written last at this second."""
    for path in directory.glob("*.spool"):
        os.utime(path, (second, second))


def of(feed: str, root: Path, url: str = URL) -> Path:
    return market_directory(root, feed, url)


def test_what_other_feeds_of_its_kind_left_for_its_server_is_taken_over_the_oldest_first(
    tmp_path: Path,
) -> None:
    for second, feed in enumerate(("sip", "rest", "boats", "crypto", "news", "opra")):
        put(of(feed, tmp_path), feed.encode())
        at(of(feed, tmp_path), 100 - second)
    put(of("sip", tmp_path, OTHER_URL), b"of another server")
    adopt(of("iex", tmp_path))
    assert held(of("iex", tmp_path)) == [b"boats", b"rest"]
    left = [path.name for path in tmp_path.glob("*/*.spool") if path.parent != of("iex", tmp_path)]
    assert len(left) == 4
    adopt(of("indicative", tmp_path))
    assert held(of("indicative", tmp_path)) == [b"opra"]


def test_nothing_is_put_before_what_lies_there_already(tmp_path: Path) -> None:
    put(of("sip", tmp_path), b"older")
    put(of("iex", tmp_path), b"newer")
    adopt(of("iex", tmp_path))
    assert (held(of("iex", tmp_path)), held(of("sip", tmp_path))) == ([b"newer"], [b"older"])


def test_what_was_confirmed_before_hides_nothing_that_is_taken_over(tmp_path: Path) -> None:
    for _ in range(3):
        put(of("iex", tmp_path), b"one", confirmed=1)
    put(of("sip", tmp_path), b"left")
    adopt(of("iex", tmp_path))
    assert held(of("iex", tmp_path)) == [b"left"]


def test_what_another_process_holds_is_its_own(tmp_path: Path) -> None:
    spool = Spool(of("sip", tmp_path))
    spool.append([b"in use"])
    adopt(of("iex", tmp_path))
    assert held(of("iex", tmp_path)) == []
    assert LeftSpools(tmp_path).look([]) == []
    spool.close()


def test_what_is_left_is_named_with_its_server_its_size_and_its_age(tmp_path: Path) -> None:
    directory = of("iex", tmp_path, OTHER_URL)
    note_server(directory, "redis://:secret@127.0.0.1:6380/0")
    put(directory, b"one", b"two", b"three", confirmed=1)
    at(directory, 1_700_000_000)
    put(of("iex", tmp_path), b"served")
    put(of("sip", tmp_path), b"one", confirmed=1)
    spools = LeftSpools(tmp_path)
    unwritten = size(b"two", b"three")
    for _ in range(2):
        (found,) = spools.look([of("iex", tmp_path)])
        assert (found.directory, found.unwritten_bytes) == (directory, unwritten)
    assert found.reason.code == "spool_left"
    assert found.reason.sentence == (
        f"{directory} holds messages of {unwritten} bytes, the last of 2023-11-14 22:13:20 UTC, for "
        "redis://127.0.0.1:6380/0, and nobody writes them"
    )
    put(directory, b"four")
    assert spools.look([of("iex", tmp_path)])[0].unwritten_bytes == unwritten + size(b"four")
    shutil.rmtree(directory)
    assert spools.look([of("iex", tmp_path)]) == [], "somebody removed it"
    assert LeftSpools(tmp_path / "nowhere").look([]) == []


def test_what_is_no_spool_is_left_alone_and_hides_no_other(tmp_path: Path) -> None:
    """Somebody's files, and what cannot be read, before one that is left."""
    (tmp_path / "a-copy").mkdir()
    (tmp_path / "a-copy" / "old.spool").write_text("kept by hand")
    (tmp_path / "b-broken" / "000000000001.spool").mkdir(parents=True)
    (tmp_path / "c-note").write_text("no directory")
    put(of("iex", tmp_path), b"one")
    (of("iex", tmp_path) / "copy.spool").write_text("kept by hand")
    (found,) = LeftSpools(tmp_path).look([])
    assert (found.directory, found.unwritten_bytes) == (of("iex", tmp_path), size(b"one"))
    assert held(of("iex", tmp_path)) == [b"one"]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("last_of", "is_written"), [("iex", False), ("sip", False), ("rest", True), (None, True)]
)
async def test_what_is_older_than_what_any_stream_went_on_with_is_left_out(
    market_client: Any, last_of: str | None, is_written: bool
) -> None:
    """Last trades that were asked for meanwhile go on with nothing."""
    records = MarketRecords("iex", Dropping(lambda since_ns, reason: None, lambda streams: None, 1), set)
    unwritten = Unwritten(market_client, records, "iex", 60_000_000_000)
    batch = MarketBatch(["md:AAPL:trades"], [1, b"{}"], 10, "iex")
    records.left_off.take(batch)
    if last_of is not None:
        await market_client.xadd("md:AAPL:trades", {"d": b"{}", "r": 20, "feed": last_of})
    assert await unwritten.of([batch]) == ([batch] if is_written else [])
    assert unwritten.left_out == (not is_written)


@pytest.mark.integration
async def test_what_one_feed_left_the_next_one_writes_and_what_nobody_does_is_told(
    simulator, md_url, orders_url, tmp_path, monkeypatch
):
    """The feed was switched, and so was the account's name."""
    monkeypatch.setattr(service, "LEFT_AFTER_S", 0.5)
    stream = "md:AAPL:trades"
    nothing = Dropping(lambda since_ns, reason: None, lambda streams: None, 60_000_000_000)
    time = msgpack.Timestamp(1_700_000_000, 5)
    frame = msgpack.packb([{"T": "t", "S": "AAPL", "i": 1, "x": "V", "p": 1.5, "s": 1, "t": time}])
    feed = SpooledFeed("sip", frozenset(), set())
    left = MarketRecords("sip", nothing, set).encoded([(feed, 1_700_000_001_000_000_000, frame)], 0)
    put(of("sip", tmp_path, md_url), *left)
    account = directory_of(tmp_path, "account-former", orders_url)
    put(account, b"one")
    settings = settings_for(simulator, md_url, orders_url, ingest_spool_dir=tmp_path)
    async with running(settings) as run, run.wanting("reader", trades=["AAPL"]):

        async def is_written() -> bool:
            return len(await run.messages(stream)) > 10

        await until(is_written, "live trades")
        entries = await run.market.xrange(stream)
        assert [fields.get(b"type", fields[b"feed"]) for _, fields in entries[:2]] == [b"sip", b"GapOpened"]
        assert json.loads(entries[1][1][b"d"])["since_ns"] == 1_700_000_001_000_000_000
        assert {fields[b"feed"] for _, fields in entries[1:]} == {b"iex"}
        await until(lambda: "spool_left" in {one.code for one in run.ingest.service.reasons}, "it to be told")
        (why,) = [one for one in run.ingest.service.reasons if one.code == "spool_left"]
        assert str(account) in why.sentence
        assert run.ingest.service.state == "ready"
