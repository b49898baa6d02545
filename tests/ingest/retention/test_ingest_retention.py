"""A market-data server that is small: it never refuses, readers are told, orders never notice."""

import json
import time

import pytest
from ingest_run import running, settings_for
from own_server import own_server
from waiting import until

from bus.clock import SystemClock
from bus.connection import connect
from bus.consume import GroupReader
from bus.delivery import cut_of
from bus.entry_position import entry_position
from bus.errors import RefusedForNow
from bus.settings import load
from ingest.retention.trimming import Trimmer
from ingest.settings import IngestSettings
from ingest.wants import united

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MB = 1024 * 1024
HOUR_MS = 3_600_000
GROUP = "algo:paper:slow"
STREAM = "md:AAPL:trades"
SYMBOLS = ("AAPL", "MSFT", "SPY", "TSLA")


@pytest.fixture
def market():
    with own_server("market") as server:
        yield server


@pytest.fixture
async def client(market):
    made = connect(market.url, name="test")
    yield made
    await made.aclose()


def trimmer(market, client, wants=(), **settings):
    made = Trimmer(
        load(IngestSettings, md_redis_url=market.url, **settings),
        client,
        SystemClock(),
        may_trim=lambda: True,
    )
    made.follow(dict.fromkeys(wants, b"{}"), united({}))
    return made


class Market:
    """Writes an hour of trades, as large as they are numerous, evenly over some symbols."""

    def __init__(self, client, entries, began_ms=None, size_bytes=1000, symbols=SYMBOLS):
        self.written = dict.fromkeys(symbols, 0)
        self._symbols = symbols
        self._client = client
        self._entries = entries
        self._began_ms = began_ms or time.time_ns() // 1_000_000 - HOUR_MS
        self._padding = "x" * size_bytes

    async def write(self, count):
        pipeline = self._client.pipeline(transaction=False)
        for _ in range(count):
            number = sum(self.written.values())
            symbol = self._symbols[number % len(self._symbols)]
            self.written[symbol] += 1
            at_ms = self._began_ms + number * HOUR_MS // self._entries
            trade = {
                "S": symbol,
                "i": number,
                "x": "V",
                "p": 1,
                "s": 1,
                "t": at_ms * 1_000_000,
                "z": self._padding,
            }
            pipeline.xadd(
                f"md:{symbol}:trades", {"d": json.dumps(trade), "r": at_ms * 1_000_000}, id=f"{at_ms}-*"
            )
        await pipeline.execute()


async def full(tape, after=None):
    """Write until the server refuses."""
    for _ in range(100):
        try:
            await tape.write(200)
        except RefusedForNow:
            return
        if after is not None:
            await after()
    pytest.fail("it does not fill up")


async def spans(client):
    return [
        (int((await client.xrange(stream, count=1))[0][0].split(b"-")[0]), await client.xlen(stream))
        for stream in (f"md:{symbol}:trades" for symbol in SYMBOLS)
    ]


@pytest.mark.parametrize(
    ("size_bytes", "nodes"),
    [(1000, {}), (500, {"stream_node_max_entries": 1500, "stream_node_max_bytes": 0})],
    ids=["", "with large nodes"],
)
async def test_twice_what_the_server_may_hold_is_written_and_nothing_is_refused(
    market, client, size_bytes, nodes
):
    market.configure(maxmemory=16 * MB, **nodes)
    made, tape = trimmer(market, client), Market(client, 32_000, size_bytes=size_bytes)
    most = 0
    for _ in range(64):
        await tape.write(500)
        await made.step()
        most = max(most, made.details.used_bytes)
    assert most <= made.details.budget_bytes == round(0.8 * 16 * MB)
    kept = await spans(client)
    assert all(length > 2000 for _, length in kept)
    # The same stretch of time of every symbol, to within a node.
    assert max(first for first, _ in kept) - min(first for first, _ in kept) < HOUR_MS // 1000
    counted = {
        stream: tape.written[stream.split(":")[1]] - length for stream, length in await _lengths(client)
    }
    assert made.trimmed == counted
    assert made.reasons == ()


async def _lengths(client):
    return [(name, await client.xlen(name)) for name in (f"md:{symbol}:trades" for symbol in SYMBOLS)]


async def test_a_server_that_is_full_already_is_made_room_on_before_a_feed_is_served(
    market, client, simulator, orders_url
):
    """Full, it gives no lease either."""
    market.configure(maxmemory=8 * MB)
    await full(Market(client, 10_000, symbols=("AAPL", "TSLA")))
    settings = settings_for(simulator, market.url, orders_url)
    async with running(settings) as run, run.wanting("me", trades=["MSFT"]):
        await until(lambda: run.stocks.writing.messages_in > 20, "messages")
        await until(
            lambda: not len(run.stocks.frames) and not run.stocks.waiting_reasons, "all of it written"
        )
        assert run.details.retention.used_bytes <= run.details.retention.budget_bytes
        assert run.details.retention.trimmed > 0


async def read(reader, count):
    """So many deliveries, and what they say was cut: (after how many entries, how many went)."""
    entries, cuts = 0, []
    while entries < count:
        for delivery in await reader.deliveries():
            found = cut_of(delivery.fields)
            if found is not None:
                cuts.append((entries, found))
            else:
                entries += 1
            reader.acknowledge(delivery)
    return entries, cuts


@pytest.mark.parametrize("symbols", [SYMBOLS, ("AAPL",)])
async def test_a_live_reader_holds_the_trim_back_up_to_a_bound_and_is_told_exactly_what_it_lost(
    market, client, symbols
):
    """Also where nothing is there but what it is behind on."""
    market.configure(maxmemory=16 * MB)
    made, tape = trimmer(market, client, ["paper:slow"]), Market(client, 32_000, symbols=symbols)
    reader = GroupReader(market.url, [STREAM], GROUP, count=100, block_ms=50, hears_of_cuts=True)
    await reader.open()
    await tape.write(4000)
    assert await read(reader, 1000) == (1000, [])
    while not made.held:
        await tape.write(400)
        await made.step()
    assert not made.losses.by_reader
    assert [one.code for one in made.reasons] == ["reader_behind"]
    assert "paper:slow" in made.reasons[0].sentence
    while not made.losses.by_reader:
        await tape.write(400)
        await made.step()
    assert made.details.used_bytes <= made.details.budget_bytes * 9 // 8
    assert "reader_cut" in [one.code for one in made.reasons]
    left = await client.xlen(STREAM)
    entries, ((after, cut),) = await read(reader, left)
    assert after == 0
    assert 1000 + cut.entries + entries == tape.written["AAPL"]
    assert cut.entries == reader.trimmed == made.losses.by_reader["paper:slow"]
    assert cut.kept_id == (await client.xrange(STREAM, count=1))[0][0].decode()
    # Once: the note goes with the next read.
    assert await reader.deliveries() == []
    assert not await client.exists(f"cuts:{GROUP}")
    assert await reader.lag() == 0
    await reader.close()


async def test_what_was_delivered_and_is_gone_holds_nothing_back(market, client):
    market.configure(maxmemory=8 * MB)
    made, tape = trimmer(market, client, ["paper:slow"]), Market(client, 32_000, symbols=("AAPL",))
    await client.xgroup_create(STREAM, GROUP, "0", mkstream=True)
    await tape.write(200)
    await client.xreadgroup(GROUP, "leader", {STREAM: ">"}, count=100)
    while not made.losses.by_reader:
        await tape.write(400)
        await made.step()
    while not made.held:
        await tape.write(100)
        await made.step()
    ((stream, next_id),) = made.held.values()
    assert stream == STREAM
    ((first_id, _),) = await client.xrange(STREAM, count=1)
    assert entry_position(next_id) >= entry_position(first_id.decode())


async def test_a_reader_that_was_away_hears_what_it_lost_at_each_start_until_it_has_handled_it(
    market, client, monkeypatch
):
    monkeypatch.setattr("ingest.retention.retention.ALIVE_MS", 0)
    market.configure(maxmemory=8 * MB)
    made, tape = trimmer(market, client), Market(client, 16_000)

    async def started(count=100):
        reader = GroupReader(market.url, [STREAM], GROUP, count=count, block_ms=50, hears_of_cuts=True)
        await reader.open()
        return reader

    reader = await started()
    await tape.write(400)
    # Delivered and not handled: what is left of these comes first, in their order.
    while not (delivered := await reader.deliveries()):
        pass
    assert len(delivered) == 100
    for delivery in delivered[:40]:
        reader.acknowledge(delivery)
    await reader.close()
    for _ in range(20):
        await tape.write(500)
        await made.step()
    assert made.reasons == ()
    for _ in range(2):
        reader = await started(25)
        seen = []
        while len(seen) < 200:
            seen += await reader.deliveries()
        assert seen == sorted(seen, key=lambda one: tuple(map(int, one.id.split("-"))))
        kinds = [("cut" if cut_of(one.fields) else "pending" if one.trimmed else "entry") for one in seen]
        assert kinds == ["pending"] * 60 + ["cut"] + ["entry"] * (len(seen) - 61)
        assert 100 + cut_of(seen[60].fields).entries + await client.xlen(STREAM) == tape.written["AAPL"]
        await reader.close()


async def test_keep_lets_the_server_fill_up_before_it_cuts_a_live_reader(market, client):
    market.configure(maxmemory=8 * MB)
    made = trimmer(market, client, ["paper:slow"], md_laggards="keep")
    await client.xgroup_create(STREAM, GROUP, "$", mkstream=True)
    tape = Market(client, 32_000, size_bytes=4000)
    await full(tape, made.step)
    assert made.trimmed[STREAM] == 0
    assert not made.losses.by_reader
    assert "however full" in made.reasons[0].sentence


async def test_what_is_too_old_goes_and_outdated_streams_go_with_their_groups(market, client, monkeypatch):
    monkeypatch.setattr("ingest.retention.retention.ALIVE_MS", 0)
    now_ms = time.time_ns() // 1_000_000
    made = trimmer(market, client, md_hours=2.0)
    await Market(client, 400, began_ms=now_ms - 3 * HOUR_MS - HOUR_MS // 2).write(400)
    for number in range(200):
        await client.xadd("md:SPY:trades", {"d": b"x" * 1000}, id=f"{now_ms - 199 + number}-0")
    await client.xgroup_create(STREAM, "algo:paper:away", "0")
    await client.xreadgroup("algo:paper:away", "leader", {STREAM: ">"}, count=1)
    await client.xgroup_create("md:MSFT:trades", "algo:paper:never", "0")
    made.follow({}, united({"paper:me": json.dumps({"trades": ["TSLA"]}).encode()}))
    await made.step()
    lengths = dict(await _lengths(client))
    # One that is read from, or wanted, keeps its last node; so does one that is written to.
    assert 0 < lengths[STREAM] <= 10
    assert 0 < lengths["md:TSLA:trades"] <= 10
    assert 200 <= lengths["md:SPY:trades"] < 210
    assert lengths["md:MSFT:trades"] == 0
    assert made.removed == 1
    assert await client.hlen("cuts:algo:paper:away") == 1
    assert sum(int(one.split()[1]) for one in await client.hvals("cuts:algo:paper:never")) == 100


async def test_of_a_stream_that_goes_each_group_hears_exactly_what_it_had_yet_to_read(market, client):
    """However many entries a node holds, so that they are there until the stream goes."""
    market.configure(stream_node_max_entries=10_000, stream_node_max_bytes=0)
    old_ms = time.time_ns() // 1_000_000 - 3 * HOUR_MS
    for number in range(1500):
        await client.xadd(STREAM, {"d": b"x"}, id=f"{old_ms}-{number}")
    await client.xgroup_create(STREAM, "algo:paper:never", "0")
    await client.xgroup_create(STREAM, "algo:paper:early", f"{old_ms}-299")
    await client.xgroup_create(STREAM, "algo:paper:all", "$")
    made = trimmer(market, client, md_hours=2.0)
    await made.step()
    assert (made.removed, await client.exists(STREAM)) == (1, 0)
    notes = {name: await client.hgetall(f"cuts:algo:paper:{name}") for name in ("never", "early", "all")}
    last = f"{old_ms}-1499"
    assert notes == {
        "never": {f"{STREAM} {old_ms}-0".encode(): f"{last} 1500".encode()},
        "early": {f"{STREAM} {old_ms}-300".encode(): f"{last} 1200".encode()},
        "all": {},
    }


async def test_snapshots_that_somebody_wants_stay_however_quiet_the_symbol_is(market, client):
    old_ms = time.time_ns() // 1_000_000 - 3 * HOUR_MS
    for symbol in ("AAPL", "BTC/USD", "MSFT"):
        await client.xadd(f"md:{symbol}:snapshots", {"d": b"x"}, id=f"{old_ms}-0")
    made = trimmer(market, client, md_hours=2.0)
    made.follow({}, united({"paper:me": json.dumps({"snapshots": ["AAPL", "BTC/USD"]}).encode()}))
    await made.step()
    left = {key.decode() async for key in client.scan_iter("md:*")}
    assert left == {"md:AAPL:snapshots", "md:BTC/USD:snapshots"}


async def test_backfilled_history_goes_first_and_only_once_nobody_touches_it(market, client, monkeypatch):
    market.configure(maxmemory=8 * MB)
    made, tape = trimmer(market, client), Market(client, 16_000)
    for number in range(1000):
        await client.xadd("hist:AAPL:trades:2020", {"d": b"x" * 1000}, id=f"{number + 1}-0")
    while not made.trimmed:
        await tape.write(400)
        await made.step()
    assert await client.exists("hist:AAPL:trades:2020")
    monkeypatch.setattr("ingest.retention.retention.HISTORY_UNTOUCHED_S", 0)
    kept = await client.xlen(STREAM)
    while not made.removed:
        await tape.write(400)
        await made.step()
    assert not await client.exists("hist:AAPL:trades:2020")
    assert await client.xlen(STREAM) >= kept
