"""Recorded data: what is read, what is refused, and when it is played."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bus.errors import InvalidInput
from sim.exchange.market_messages import Bar, CryptoQuote, CryptoTrade, Quote, Trade
from sim.exchange.tape import Tape, read
from sim.times import MINUTE_NS, SECOND_NS, parse_ns

T0 = "2013-10-08T13:28:00.000000000Z"
T1 = "2013-10-08T13:28:01.000000000Z"
TRADE = {"T": "t", "S": "SPY", "t": T0, "i": 7, "x": "Z", "p": 167.44, "s": 300, "c": ["T"], "z": "B"}
QUOTE = {"T": "q", "S": "AIG", "t": T0, "bx": "P", "bp": 1.5, "bs": 2, "ax": "P", "ap": 1.6, "as": 3}
BAR = {"T": "b", "S": "AGG", "t": T0, "o": 10, "h": 13, "l": 9, "c": 11, "v": 500}
COIN = {"T": "t", "S": "BTC/USDT", "t": T0, "p": 61837.63, "s": 0.02, "i": 5, "tks": "S", "xt_ms": 1}
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def tape_file(directory: Path, *lines: Any) -> Path:
    path = directory / "tape.ndjson"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")
    return path


def test_every_kind_of_message_is_read(tmp_path: Path) -> None:
    trade, quote, bar, coin = read(tape_file(tmp_path, TRADE, QUOTE, BAR, COIN))
    assert isinstance(trade, Trade)
    assert (trade.id, trade.price, trade.time_ns) == (7, 167.44, parse_ns(T0))
    assert isinstance(quote, Quote)
    assert (quote.bid_price, quote.ask_size) == (1.5, 3)
    assert isinstance(bar, Bar)
    assert (bar.trade_count, bar.vwap) == (1, 11.0)
    assert isinstance(coin, CryptoTrade)
    assert coin.taker_side == "S"


def test_amounts_of_shares_are_whole_numbers_where_they_can_be(tmp_path: Path) -> None:
    quote_line = QUOTE | {"bs": 2.0}
    trade, quote, bar, odd = read(
        tape_file(tmp_path, TRADE | {"s": 300.0}, quote_line, BAR | {"v": 5e2}, TRADE | {"s": 0.5})
    )
    assert isinstance(trade, Trade)
    assert isinstance(quote, Quote)
    assert isinstance(bar, Bar)
    for amount in (trade.size, quote.bid_size, bar.volume):
        assert isinstance(amount, int)
    assert isinstance(odd, Trade)
    assert odd.size == 0.5


def test_amounts_of_coins_are_never_whole_numbers(tmp_path: Path) -> None:
    coin_quote = {"T": "q", "S": "BTC/USDT", "t": T0, "bp": 1, "bs": 2, "ap": 3, "as": 4}
    coin_bar = BAR | {"S": "BTC/USDT", "v": 500}
    trade, quote, bar = read(tape_file(tmp_path, COIN | {"s": 1}, coin_quote, coin_bar))
    assert isinstance(trade, CryptoTrade)
    assert isinstance(quote, CryptoQuote)
    assert isinstance(bar, Bar)
    for amount in (trade.size, quote.bid_size, quote.ask_size, bar.volume):
        assert isinstance(amount, float)


def test_trades_without_ids_are_numbered_within_their_symbol(tmp_path: Path) -> None:
    bare = {name: value for name, value in TRADE.items() if name != "i"}
    messages = read(tape_file(tmp_path, bare, {**bare, "S": "IBM"}, bare))
    assert [(m.symbol, m.id) for m in messages if isinstance(m, Trade)] == [
        ("SPY", 1),
        ("IBM", 1),
        ("SPY", 2),
    ]


def test_a_packed_file_is_read_and_put_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "tape.ndjson.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps({**TRADE, "t": T1}) + "\n" + json.dumps(QUOTE) + "\n")
    assert [message.channel for message in read(path)] == ["quotes", "trades"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{not json", "line 2"),
        ({"T": "x", "S": "SPY", "t": T0}, "line 2"),
        ({"T": "t", "S": "SPY", "t": T0, "s": 1}, "missing required field `p`"),
        ({**TRADE, "p": "dear"}, "Expected `float`"),
        ({**TRADE, "t": "yesterday"}, "yesterday"),
        ({**TRADE, "S": "not a symbol"}, "'not a symbol'"),
        ({**TRADE, "p": -1}, "Expected `float` >= 0"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: Any, words: str) -> None:
    path = tape_file(tmp_path, TRADE, line)
    with pytest.raises(InvalidInput) as error:
        read(path)
    assert str(error.value).startswith(f"{path}, line 2")
    assert words in str(error.value)


def test_a_file_that_is_missing_broken_or_empty_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ndjson.gz"
    broken.write_bytes(b"\x1f\x8bnot really")
    cut = tmp_path / "cut.ndjson.gz"
    cut.write_bytes(gzip.compress(json.dumps(TRADE).encode() * 100)[:-20])
    for path in (tmp_path / "missing.ndjson", broken, cut, tape_file(tmp_path)):
        with pytest.raises(InvalidInput, match=path.name):
            read(path)


def test_messages_become_due_with_their_times_re_stamped(tmp_path: Path) -> None:
    tape = Tape(read(tape_file(tmp_path, TRADE, {**TRADE, "t": T1})), speed=2, keeps_times=False)
    start_ns = 5_000 * SECOND_NS
    assert [m.time_ns for m in tape.due(start_ns, 10)] == [start_ns]
    assert tape.due(start_ns + SECOND_NS // 2 - 1, 10) == []
    assert [m.time_ns for m in tape.due(start_ns + SECOND_NS, 10)] == [start_ns + SECOND_NS // 2]
    assert tape.is_finished


def test_a_re_stamped_bar_began_a_minute_before_it_is_known(tmp_path: Path) -> None:
    tape = Tape(read(tape_file(tmp_path, BAR)), speed=1, keeps_times=False)
    start_ns = 5_000 * SECOND_NS
    assert [m.time_ns for m in tape.due(start_ns, 10)] == [start_ns - MINUTE_NS]


def test_times_can_be_kept(tmp_path: Path) -> None:
    tape = Tape(read(tape_file(tmp_path, TRADE)), speed=1, keeps_times=True)
    assert [m.time_ns for m in tape.due(5_000 * SECOND_NS, 10)] == [parse_ns(T0)]


def test_no_step_is_longer_than_asked(tmp_path: Path) -> None:
    tape = Tape(read(tape_file(tmp_path, *[TRADE] * 5)), speed=1, keeps_times=True)
    assert [len(tape.due(1, 2)) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize(
    ("name", "count"), [("crypto_2024-08-08", 67_980), ("bars_4_symbols_2013-10", 11_374)]
)
def test_recordings_are_read_whole(name: str, count: int) -> None:
    if not SHARED.is_dir():
        pytest.skip("the recorded data is not on this machine")
    assert len(read(SHARED / f"{name}.ndjson.gz")) == count
