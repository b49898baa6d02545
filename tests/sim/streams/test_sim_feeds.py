"""The feeds of market data under plain websockets: plans, limits, errors, codecs, compression, frames."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgpack
import pytest
import requests
from alpaca.data.live.stock import StockDataStream
from simulator import Simulator, running
from waiting import until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

pytestmark = pytest.mark.usefixtures("no_faults")

MOST_FRAME_BYTES = 256 * 1024


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    arguments = ("--symbols", "AAPL,BTC/USD", "--rate", "2000", "--plan", "free", "--no-deflate")
    with Simulator.start(*arguments) as started:
        yield started


@pytest.fixture(scope="module")
def busy() -> Iterator[Simulator]:
    """Large frames, some megabytes a second, and no patience for more than one."""
    arguments = ("--rate", "30000", "--frame-messages", "3000", "--slow-client-bytes", "1000000")
    with Simulator.start(*arguments) as started:
        yield started


class Wire:
    """A websocket of one feed, in JSON or msgpack."""

    def __init__(self, simulator: Simulator, opened_socket: ClientConnection, is_msgpack: bool) -> None:
        self.socket = opened_socket
        self.keys = {"key": simulator.key, "secret": simulator.secret}
        self._is_msgpack = is_msgpack

    async def say(self, **message: Any) -> None:
        await self.socket.send(msgpack.packb(message) if self._is_msgpack else json.dumps(message))

    async def hear(self) -> list[dict[str, Any]]:
        frame = await asyncio.wait_for(self.socket.recv(), 10)
        heard: list[dict[str, Any]] = json.loads(frame) if isinstance(frame, str) else msgpack.unpackb(frame)
        return heard

    async def ask(self, **message: Any) -> dict[str, Any]:
        """The answer to a message; it is alone in its frame, its T first."""
        await self.say(**message)
        while True:
            heard = await self.hear()
            if heard[0]["T"] in ("success", "error", "subscription"):
                assert len(heard) == 1
                assert next(iter(heard[0])) == "T"
                return heard[0]

    async def log_in(self) -> dict[str, Any]:
        return await self.ask(action="auth", **self.keys)


@asynccontextmanager
async def opened(
    simulator: Simulator, path: str, is_msgpack: bool = False, **options: Any
) -> AsyncIterator[Wire]:
    """A connection to this path that was greeted."""
    url = simulator.stocks_stream_url.replace("/v2/iex", path)
    headers = {"Content-Type": "application/msgpack"} if is_msgpack else {}
    async with connect(url, additional_headers=headers, max_size=None, **options) as opened_socket:
        wire = Wire(simulator, opened_socket, is_msgpack)
        assert await wire.hear() == [{"T": "success", "msg": "connected"}]
        yield wire


async def post(simulator: Simulator, path: str, body: dict[str, Any]) -> None:
    """Ask something of the control endpoint."""
    answer = await asyncio.to_thread(requests.post, simulator.control_url + path, json=body, timeout=10)
    assert answer.status_code == 200, answer.text


async def everything(wire: Wire, heard: list[Any]) -> None:
    while True:
        heard.append(await wire.hear())


@pytest.mark.parametrize("path", ["/v2/sip", "/v1beta1/opra", "/v1beta1/boats"])
async def test_the_free_plan_has_no_part_in_the_paid_feeds(simulator: Simulator, path: str) -> None:
    async with opened(simulator, path, is_msgpack=True) as wire:
        assert await wire.log_in() == {"T": "error", "code": 409, "msg": "insufficient subscription"}


@pytest.mark.parametrize(
    "path",
    ["/v2/iex", "/v2/delayed_sip", "/v2/test", "/v1beta1/overnight", "/v1beta1/indicative", "/v1beta1/news",
     "/v1beta3/crypto/us", "/v1beta3/crypto/us-1", "/v1beta3/crypto/eu-1"],
)  # fmt: skip
async def test_every_other_feed_lets_in(simulator: Simulator, path: str) -> None:
    async with opened(simulator, path, is_msgpack=True) as wire:
        assert await wire.log_in() == {"T": "success", "msg": "authenticated"}


async def test_alpacas_client_gives_up_where_its_plan_has_no_part(simulator: Simulator) -> None:
    url = simulator.stocks_stream_url.replace("/iex", "/sip")
    stream = StockDataStream(simulator.key, simulator.secret, url_override=url)

    async def on(message: Any) -> None:
        raise AssertionError(message)

    stream.subscribe_bars(on, "AAPL")
    await asyncio.wait_for(stream._run_forever(), 5)


async def test_thirty_symbols_are_the_free_plans_and_bars_count_for_none(simulator: Simulator) -> None:
    names = [f"S{number}" for number in range(40)]
    async with opened(simulator, "/v2/iex") as wire:
        await wire.log_in()
        assert (await wire.ask(action="subscribe", trades=names[:20], quotes=names[10:30]))["T"] != "error"
        refused = await wire.ask(action="subscribe", quotes=names[30:31], bars=["A"])
        assert refused == {"T": "error", "code": 405, "msg": "symbol limit exceeded"}
        found = await wire.ask(action="subscribe", bars=names, statuses=["*"])
        assert (len(found["trades"]), len(found["quotes"]), len(found["bars"])) == (20, 20, 40)
        await wire.ask(action="unsubscribe", trades=names, quotes=names)
        assert (await wire.ask(action="subscribe", quotes=names[30:31]))["quotes"] == names[30:31]


@pytest.mark.parametrize(
    ("code", "words"),
    [(408, "v2 not enabled"), (411, "insufficient scope"), (500, "internal error")],
)
async def test_what_alpaca_may_say_to_a_login_can_be_made_to_happen(
    simulator: Simulator, code: int, words: str
) -> None:
    async with opened(simulator, "/v2/iex") as wire:
        simulator.fault("stream_error", stream="stocks", code=code)
        assert await wire.log_in() == {"T": "error", "code": code, "msg": words}
        assert (await wire.log_in())["T"] == "success"


async def test_options_speak_msgpack_only_and_have_no_quotes_of_everything(simulator: Simulator) -> None:
    url = simulator.stocks_stream_url.replace("/v2/iex", "/v1beta1/indicative")
    async with connect(url) as plain:
        assert msgpack.unpackb(await plain.recv()) == [{"T": "success", "msg": "connected"}]
        await plain.send(json.dumps({"action": "auth"}))
        assert msgpack.unpackb(await plain.recv())[0]["code"] == 400
    async with opened(simulator, "/v1beta1/indicative", is_msgpack=True) as wire:
        await wire.log_in()
        assert await wire.ask(action="subscribe", quotes=["*"]) == {
            "T": "error", "code": 410, "msg": "invalid subscribe action for this feed",
        }  # fmt: skip
        found = await wire.ask(action="subscribe", trades=["*"], quotes=["AAPL270115C00200000"])
        assert found == {"T": "subscription", "trades": ["*"], "quotes": ["AAPL270115C00200000"]}
        kinds: set[str] = set()
        while kinds != {"t", "q"}:
            for message in await wire.hear():
                kinds.add(message["T"])
                assert isinstance(message["t"], msgpack.Timestamp)
                assert isinstance(message["c"], str)


async def test_imbalances_come_where_asked_for_and_are_told_of_only_then(simulator: Simulator) -> None:
    async with opened(simulator, "/v2/iex") as wire:
        await wire.log_in()
        found = await wire.ask(action="subscribe", imbalances=["AAPL"])
        assert found["imbalances"] == ["AAPL"]
        body = {"symbol": "AAPL", "price": 199.5}
        await post(simulator, "/imbalances", body)
        (heard,) = await wire.hear()
        assert (heard.pop("t")[:2], heard) == ("20", {"T": "i", "S": "AAPL", "p": 199.5, "z": "C"})
        assert "imbalances" not in await wire.ask(action="unsubscribe", imbalances=["AAPL"])


async def test_news_in_json_have_their_times_as_text(simulator: Simulator) -> None:
    async with opened(simulator, "/v1beta1/news") as wire:
        await wire.log_in()
        assert await wire.ask(action="subscribe", news=["*"]) == {"T": "subscription", "news": ["*"]}
        body = {"headline": "Rain", "symbols": []}
        await post(simulator, "/news", body)
        (article,) = await wire.hear()
    assert list(article) == [
        "T", "id", "headline", "summary", "author", "created_at", "updated_at", "url", "content", "symbols",
        "source",
    ]  # fmt: skip
    assert (article["T"], article["created_at"][-1]) == ("n", "Z")


async def test_a_client_that_does_not_read_is_told_that_it_is_slow_and_closed(busy: Simulator) -> None:
    # Systems hold some megabytes on the way: less where the reader's end is small.
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    address = urlsplit(busy.stocks_stream_url)
    assert address.hostname is not None
    assert address.port is not None
    small.connect((address.hostname, address.port))
    small.setblocking(False)
    async with opened(busy, "/v2/iex", sock=small, compression=None) as wire:
        await wire.log_in()
        await wire.say(action="subscribe", trades=["*"], quotes=["*"])
        wire.socket.transport.pause_reading()
        counts: list[int] = []

        def has_given_up() -> bool:
            counts.append(busy.state()["messages_sent"])
            return counts[-1] > 0 and counts[-20:] == [counts[-1]] * 20  # a frame is due every 5 looks

        await until(has_given_up, "the server has given up", timeout_s=20)
        wire.socket.transport.resume_reading()
        heard: list[Any] = []
        with pytest.raises(ConnectionClosedError) as closed:
            await asyncio.wait_for(everything(wire, heard), 10)
        assert heard[-1] == [{"T": "error", "code": 407, "msg": "slow client"}]
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_compression_can_be_refused(simulator: Simulator) -> None:
    async with opened(simulator, "/v2/iex") as wire:
        assert wire.socket.protocol.extensions == []


async def test_no_frame_is_larger_than_a_quarter_of_a_mebibyte(busy: Simulator) -> None:
    async with opened(busy, "/v2/iex") as wire:
        await wire.log_in()
        await wire.say(action="subscribe", trades=["*"], quotes=["*"])
        sizes: list[int] = []
        while len(sizes) < 6:
            frame = await asyncio.wait_for(wire.socket.recv(), 10)
            sizes += [len(frame)] * (len(frame) > 1000)
        assert wire.socket.protocol.extensions != []
    assert MOST_FRAME_BYTES // 4 < max(sizes) <= MOST_FRAME_BYTES


async def test_twelve_thousand_symbols_come_in_fragments_and_go(simulator: Simulator) -> None:
    stream = StockDataStream(simulator.key, simulator.secret, url_override=simulator.stocks_stream_url)
    names = [f"X{number:05d}" for number in range(12_000)]
    heard: list[Any] = []

    async def on(message: Any) -> None:
        heard.append(message)

    stream.subscribe_bars(on, *names)
    stream.subscribe_quotes(on, "AAPL")
    async with running(stream):
        await until(lambda: len(heard) > 3, "quotes flow")
        await stream._send_unsubscribe_msg("bars", names)
        before = len(heard)
        await until(lambda: len(heard) > before, "quotes flow on")
    assert {message.symbol for message in heard} == {"AAPL"}
