"""What people type after `backbone tail`."""

import pytest

from bus.errors import InvalidInput
from ops.tail.entries import as_json, line
from ops.tail.names import resolve

KNOWN = [
    "md:AAPL:trades",
    "md:AAPL:quotes",
    "md:AAPL:bars",
    "md:BTC/USD:bars",
    "orders:{paper}:events:ma-cross",
    "orders:{paper}:requests:ma-cross",
    "orders:{paper}:journal",
]


@pytest.mark.parametrize(
    ("name", "streams"),
    [
        ("AAPL", ["md:AAPL:quotes", "md:AAPL:trades"]),
        ("BTC/USD", ["md:BTC/USD:bars"]),
        ("md:AAPL:bars", ["md:AAPL:bars"]),
        ("journal", ["orders:{paper}:journal"]),
        ("control", ["control:{control}"]),
        ("account", ["account:{paper}"]),
        ("events:ma-cross", ["orders:{paper}:events:ma-cross"]),
        ("requests:ma-cross", ["orders:{paper}:requests:ma-cross"]),
    ],
)
def test_a_name_means_streams(name: str, streams: list[str]) -> None:
    assert resolve([name], KNOWN, "paper") == streams


def test_a_stream_named_twice_is_read_once() -> None:
    assert resolve(["md:AAPL:trades", "AAPL"], KNOWN, "paper") == ["md:AAPL:trades", "md:AAPL:quotes"]


@pytest.mark.parametrize(
    ("name", "near"),
    [("AAPLE", "AAPL"), ("jornal", "journal"), ("events:ma-crss", "events:ma-cross"), ("aapl", "AAPL")],
)
def test_an_unknown_name_is_answered_with_what_is_near(name: str, near: str) -> None:
    with pytest.raises(InvalidInput, match=near):
        resolve([name], KNOWN, "paper")


def test_without_streams_it_says_so() -> None:
    with pytest.raises(InvalidInput, match="no streams yet"):
        resolve(["XYZ"], [], "paper")


TRADE = {b"d": b'{"S":"AAPL","p":230.12,"s":100,"t":1700000000000000000}', b"r": b"1"}


def test_a_trade_reads_as_a_sentence() -> None:
    assert line("md:AAPL:trades", "1700000000000-0", TRADE).endswith("AAPL trade 100 at 230.12")


def test_json_has_the_fields_with_their_content_parsed() -> None:
    assert '"p":230.12' in as_json("md:AAPL:trades", "1-0", TRADE)


@pytest.mark.parametrize(
    "fields",
    [{b"type": b"New", b"version": b"9", b"data": b"{}"}, {b"d": b"[1"}, {b"\xff": b"\xff"}],
)
def test_what_cannot_be_read_is_shown_as_it_is(fields: dict[bytes, bytes]) -> None:
    assert "=" in line("orders:{paper}:journal", "5-0", fields)
    assert '"id":"5-0"' in as_json("orders:{paper}:journal", "5-0", fields)


def test_a_trade_update_is_told_in_short() -> None:
    frame = (
        b'{"stream":"trade_updates","data":{"event":"fill","price":"5","qty":"1","order":{"side":"buy",'
        b'"qty":"1","symbol":"AAPL","status":"filled","client_order_id":"c"}}}'
    )
    fields = {b"type": b"TradeUpdate", b"version": b"1", b"data": frame}
    assert line("account:{paper}", "5-0", fields).endswith("fill buy 1 AAPL, 1 at 5, now filled c")
