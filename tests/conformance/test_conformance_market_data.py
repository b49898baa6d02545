"""Market data on the websockets, as alpaca-py's streams and a plain client hear it."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgpack
import pytest
from agreement import Agreement
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.live.websocket import DataStream
from alpaca.data.models.bars import Bar
from alpaca.data.models.quotes import Quote
from alpaca.data.models.trades import Trade
from frames import Frame, Wire
from market_shapes import COIN, LETTERS, STOCK, on_the_wire
from plain_socket import opened
from streaming import PATHS, listening
from target import Target

Tell = Callable[[Wire, Frame], None]
BY_CHANNEL = {"trades": Trade, "quotes": Quote, "bars": Bar}
# Shares trade in New York's hours alone, coins at any time.
FEEDS = [
    pytest.param(StockDataStream, marks=pytest.mark.open_market, id="stocks"),
    pytest.param(CryptoDataStream, id="coins"),
]


def symbol_of(target: Target, kind: type[DataStream]) -> str:
    return target.stock if kind is StockDataStream else target.coin


def shapes_of(kind: type[DataStream]) -> dict[str, Any]:
    return STOCK if kind is StockDataStream else COIN


def to(channel: str, symbol: str) -> Callable[[Any, Any], None]:
    return lambda stream, handler: getattr(stream, f"subscribe_{channel}")(handler, symbol)


@pytest.mark.parametrize("channel", ["trades", "quotes", "bars"])
@pytest.mark.parametrize("kind", FEEDS)
async def test_each_message_has_every_key(
    target: Target, tell: Tell, agrees: Agreement, kind: type[DataStream], channel: str
) -> None:
    symbol, letter = symbol_of(target, kind), LETTERS[channel]
    async with listening(target, kind, tell, to(channel, symbol)) as heard:
        messages = await heard.some(1 if channel == "bars" else 3)
    for message in messages:
        agrees.of(message, on_the_wire(letter, shapes_of(kind)[channel], True), f"{channel} message")
        assert message["S"] == symbol


@pytest.mark.parametrize("channel", ["trades", "quotes", "bars"])
@pytest.mark.parametrize("kind", FEEDS)
async def test_each_message_becomes_alpaca_pys_model(
    target: Target, tell: Tell, kind: type[DataStream], channel: str
) -> None:
    symbol = symbol_of(target, kind)
    async with listening(target, kind, tell, to(channel, symbol), raw_data=False) as heard:
        message = (await heard.some())[0]
    assert isinstance(message, BY_CHANNEL[channel])
    assert message.model_dump()["symbol"] == symbol


@pytest.mark.parametrize("kind", FEEDS)
async def test_the_flow_of_control_is_the_documented_one(
    target: Target, tell: Tell, kind: type[DataStream]
) -> None:
    symbol = symbol_of(target, kind)
    async with listening(target, kind, tell, to("quotes", symbol)) as heard:
        await heard.some()
    frames = [frame for frame in heard.wire.frames if frame.opcode in ("binary", "cont", "text")]
    read = [
        (frame.direction, msgpack.unpackb(frame.data)) for frame in frames if frame.is_last and frame.data
    ]
    assert read[0] == ("received", [{"T": "success", "msg": "connected"}])
    assert (read[1][0], read[1][1]["action"]) == ("sent", "auth")
    assert read[2] == ("received", [{"T": "success", "msg": "authenticated"}])
    answers = [found for way, found in read[3:] if way == "received"]
    assert (answers[0][0]["T"], answers[0][0]["quotes"]) == ("subscription", [symbol])
    assert all(message["T"] == "q" for messages in answers[1:] for message in messages)


@pytest.mark.parametrize("kind", FEEDS)
async def test_in_json_times_are_text_and_type_comes_first(
    target: Target, tell: Tell, agrees: Agreement, kind: type[DataStream]
) -> None:
    symbol, shapes = symbol_of(target, kind), shapes_of(kind)
    seen: set[str] = set()
    async with opened(target, target.stream(PATHS[kind]), tell) as socket:
        await socket.hear()
        await socket.authenticate()
        await socket.ask({"action": "subscribe", "quotes": [symbol], "trades": [symbol]})
        while seen != {"q", "t"}:
            for message in await socket.hear():
                if message["T"] in ("c", "x"):
                    continue  # corrections and cancellations come with the trades, unasked
                channel = "quotes" if message["T"] == "q" else "trades"
                agrees.of(message, on_the_wire(message["T"], shapes[channel], False), channel)
                assert next(iter(message)) == "T"
                seen.add(message["T"])


@pytest.mark.parametrize("kind", FEEDS)
async def test_only_what_is_subscribed_comes(target: Target, tell: Tell, kind: type[DataStream]) -> None:
    symbol = symbol_of(target, kind)
    async with listening(target, kind, tell, to("quotes", symbol)) as heard:
        await heard.some(5)
    found = [msgpack.unpackb(data) for data in heard.wire.received()]
    messages = [
        message for frame in found for message in frame if message["T"] not in ("success", "subscription")
    ]
    assert {(message["T"], message["S"]) for message in messages} == {("q", symbol)}


@pytest.mark.parametrize("kind", FEEDS)
async def test_a_star_brings_every_symbol(target: Target, tell: Tell, kind: type[DataStream]) -> None:
    wanted = (
        {target.stock, target.other_stock} if kind is StockDataStream else {target.coin, target.other_coin}
    )
    async with listening(target, kind, tell, to("quotes", "*")) as heard:
        await heard.until(lambda: wanted <= {message["S"] for message in heard.messages}, "both symbols")


async def test_bars_of_coins_follow_each_other(target: Target, tell: Tell) -> None:
    count = 2 if target.kind == "simulator" else 1
    async with listening(target, CryptoDataStream, tell, to("bars", target.coin)) as heard:
        bars = await heard.some(count)
    for bar in bars:
        assert bar["l"] <= min(bar["o"], bar["c"]) <= max(bar["o"], bar["c"]) <= bar["h"]
    assert all(one["t"].to_unix_nano() < next_one["t"].to_unix_nano() for one, next_one in pairwise(bars))


async def test_a_subscription_of_thousands_comes_in_fragments(target: Target, tell: Tell) -> None:
    """alpaca-py cuts a message at 32 KiB; bars have no limit of symbols."""
    names = [f"X{number:05d}" for number in range(6000)] if target.kind == "simulator" else [target.coin]

    def subscribe(stream: Any, handler: Any) -> None:
        stream.subscribe_bars(handler, *names)

    async with listening(target, CryptoDataStream, tell, subscribe) as heard:

        def answered() -> bool:
            return any(b"subscription" in data for data in heard.wire.received())

        await heard.until(answered, "the answer to the subscription")
    sent = [frame for frame in heard.wire.frames if frame.direction == "sent" and frame.opcode != "close"]
    assert sent[-1].is_last
    if target.kind == "simulator":
        assert [frame.opcode for frame in sent[1:4]] == ["binary", "cont", "cont"]
    answer = next(data for data in heard.wire.received() if b"subscription" in data)
    assert sorted(msgpack.unpackb(answer)[0]["bars"]) == sorted(names)


async def test_frames_are_text_where_json_was_chosen(target: Target, tell: Tell) -> None:
    async with opened(target, target.stream("/v1beta3/crypto/us"), tell) as socket:
        first = await socket.connection.recv()
    assert isinstance(first, str)
    assert json.loads(first) == [{"T": "success", "msg": "connected"}]
