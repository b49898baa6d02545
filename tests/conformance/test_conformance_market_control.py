"""The market-data websocket's flow of control, under a plain client in both codecs."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from frames import Frame, Wire
from plain_socket import PlainSocket, opened
from target import Target

STOCKS, COINS = "/v2/iex", "/v1beta3/crypto/us"
STOCK_CHANNELS = {
    "trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "corrections",
    "cancelErrors",
}  # fmt: skip
COIN_CHANNELS = {"trades", "quotes", "orderbooks", "bars", "updatedBars", "dailyBars"}
CONNECTED = {"T": "success", "msg": "connected"}
# More than a free plan lets anybody subscribe to.
MANY = [
    "AAPL", "AMD", "AMZN", "BA", "BAC", "C", "CAT", "COST", "CSCO", "CVX", "DIS", "F", "GE", "GM", "GOOG",
    "GS", "HD", "IBM", "INTC", "JNJ", "JPM", "KO", "MA", "MCD", "META", "MMM", "MRK", "MSFT", "NFLX", "NKE",
    "NVDA", "ORCL", "PEP", "PFE", "PG", "T", "TSLA", "V", "WMT", "XOM",
]  # fmt: skip

Tell = Callable[[Wire, Frame], None]


@pytest.fixture(params=["json", "msgpack"])
def is_msgpack(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "msgpack")


@pytest.fixture
async def socket(target: Target, tell: Tell, is_msgpack: bool) -> AsyncIterator[PlainSocket]:
    """A socket of the stock stream, nothing said yet."""
    async with opened(target, target.stream(STOCKS), tell, is_msgpack=is_msgpack) as made:
        assert await made.hear() == [CONNECTED]
        yield made


def error(code: int, words: str) -> dict[str, Any]:
    return {"T": "error", "code": code, "msg": words}


async def test_who_logs_in_is_told_so_and_only_once(socket: PlainSocket, target: Target) -> None:
    await socket.authenticate()
    again = {"action": "auth", "key": target.key, "secret": target.secret}
    assert await socket.ask(again) == error(403, "already authenticated")


async def test_the_wrong_secret_is_402_and_the_socket_stays(socket: PlainSocket, target: Target) -> None:
    wrong = {"action": "auth", "key": target.key, "secret": "wrong"}
    assert await socket.ask(wrong) == error(402, "auth failed")
    if target.kind == "simulator":
        await socket.authenticate()


async def test_nothing_can_be_asked_before_the_login(socket: PlainSocket, target: Target) -> None:
    assert await socket.ask({"action": "subscribe", "trades": [target.stock]}) == error(
        401, "not authenticated"
    )
    await socket.authenticate()


async def test_the_answer_to_a_subscription_is_always_the_full_set(
    socket: PlainSocket, target: Target
) -> None:
    await socket.authenticate()
    one, other = target.stock, target.other_stock
    empty: dict[str, Any] = {"T": "subscription"} | {channel: [] for channel in STOCK_CHANNELS}
    with_trades = {channel: [one] for channel in ("trades", "corrections", "cancelErrors")}
    found = await socket.ask({"action": "subscribe", "trades": [one], "quotes": [other], "bars": ["*"]})
    assert found == empty | with_trades | {"quotes": [other], "bars": ["*"]}
    found = await socket.ask({"action": "subscribe", "quotes": [one], "dailyBars": [one], "statuses": ["*"]})
    assert sorted(found.pop("quotes")) == sorted([one, other])
    rest = {"bars": ["*"], "dailyBars": [one], "statuses": ["*"], "quotes": []}
    assert found | {"quotes": []} == empty | with_trades | rest
    found = await socket.ask({"action": "unsubscribe", "bars": ["*"], "trades": [one], "quotes": [one]})
    assert found == empty | {"quotes": [other], "dailyBars": [one], "statuses": ["*"]}


async def test_an_unknown_unsubscription_changes_nothing(socket: PlainSocket, target: Target) -> None:
    await socket.authenticate()
    await socket.ask({"action": "subscribe", "bars": [target.stock]})
    found = await socket.ask({"action": "unsubscribe", "bars": [target.other_stock]})
    assert found["bars"] == [target.stock]


@pytest.mark.parametrize(
    "message",
    [{"action": "dance"}, {"trades": ["AAPL"]}, {"action": "subscribe", "trades": "AAPL"}, ["auth"], 7],
    ids=str,
)
async def test_what_makes_no_sense_is_400_and_the_socket_stays(socket: PlainSocket, message: Any) -> None:
    await socket.authenticate()
    assert await socket.ask(message) == error(400, "invalid syntax")
    assert (await socket.ask({"action": "subscribe", "bars": ["*"]}))["bars"] == ["*"]


async def test_bytes_that_are_no_message_are_400(socket: PlainSocket) -> None:
    await socket.authenticate()
    for data in (b"\xc1\xc1", b"", b"{"):
        await socket.say_raw(data)
        assert await socket.answer() == error(400, "invalid syntax")


async def test_a_message_may_come_in_fragments(socket: PlainSocket, target: Target) -> None:
    await socket.authenticate()
    whole = socket.write({"action": "subscribe", "bars": [target.stock, target.other_stock]})
    await socket.say_raw([whole[:5], whole[5:6], whole[6:]])
    assert sorted((await socket.answer())["bars"]) == sorted([target.stock, target.other_stock])


async def test_the_symbols_of_a_free_plan_are_limited_and_bars_are_not(socket: PlainSocket) -> None:
    await socket.authenticate()
    before = await socket.ask({"action": "subscribe", "quotes": MANY[:1]})
    refused = await socket.ask({"action": "subscribe", "quotes": MANY[1:20], "trades": MANY[20:]})
    if refused["T"] == "subscription":
        pytest.skip("this account's plan has no limit of symbols")
    assert refused == error(405, "symbol limit exceeded")
    found = await socket.ask({"action": "subscribe", "bars": MANY})
    assert sorted(found.pop("bars")) == sorted(MANY)
    # What was refused has changed nothing.
    assert found | {"bars": []} == before


async def test_a_second_connection_is_406_and_may_try_again_on_the_same_socket(
    socket: PlainSocket, target: Target, tell: Tell, is_msgpack: bool
) -> None:
    await socket.authenticate()
    login = {"action": "auth", "key": target.key, "secret": target.secret}
    async with opened(target, target.stream(STOCKS), tell, is_msgpack=is_msgpack) as second:
        assert await second.hear() == [CONNECTED]
        assert await second.ask(login) == error(406, "connection limit exceeded")
        assert await second.ask(login) == error(406, "connection limit exceeded")
        await socket.connection.close()
        await second.authenticate()


async def test_stocks_and_coins_are_two_endpoints_with_a_connection_each(
    socket: PlainSocket, target: Target, tell: Tell, is_msgpack: bool
) -> None:
    await socket.authenticate()
    async with opened(target, target.stream(COINS), tell, is_msgpack=is_msgpack) as coins:
        assert await coins.hear() == [CONNECTED]
        await coins.authenticate()
        found = await coins.ask({"action": "subscribe", "bars": [target.coin]})
        assert found["bars"] == [target.coin]
        assert set(found) == {"T", *COIN_CHANNELS}


async def test_keys_may_come_with_the_handshake(target: Target, tell: Tell, is_msgpack: bool) -> None:
    keys = {"APCA-API-KEY-ID": target.key, "APCA-API-SECRET-KEY": target.secret}
    async with opened(target, target.stream(STOCKS), tell, is_msgpack=is_msgpack, headers=keys) as socket:
        assert await socket.answer() == CONNECTED
        found = await socket.answer()
        if found.get("code") == 406:
            await socket.authenticate()
        else:
            assert found == {"T": "success", "msg": "authenticated"}


@pytest.mark.parametrize("compression", ["deflate", None])
async def test_deflate_is_the_clients_choice(target: Target, tell: Tell, compression: str | None) -> None:
    async with opened(target, target.stream(STOCKS), tell, compression=compression) as socket:
        names = [extension.name for extension in socket.connection.protocol.extensions]
        assert names == ([] if compression is None else ["permessage-deflate"])
        assert await socket.hear() == [CONNECTED]
        await socket.authenticate()
        # Long enough to be worth compressing.
        found = await socket.ask({"action": "subscribe", "bars": MANY})
        assert sorted(found["bars"]) == sorted(MANY)


async def test_a_ping_is_answered(socket: PlainSocket) -> None:
    await (await socket.connection.ping())
