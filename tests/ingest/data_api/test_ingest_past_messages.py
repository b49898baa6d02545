"""What the data API tells of a message, and what the stream does: the same entry, byte for byte."""

import math
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import Unreadable
from bus.rfc3339 import written
from ingest.data_api.past_messages import past_message, read_page
from ingest.frames import split

AT_NS = 1767623400_123456789
CODES = {"trades": "t", "quotes": "q", "bars": "b"}

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=3)
floats = st.one_of(
    st.floats(0, 1e7, allow_nan=False).map(lambda price: round(price, 4)),
    st.floats(0, 1e7, allow_nan=False),
    st.integers(0, 10**7).map(float),
)
wholes = st.integers(0, 2**32 - 1)
times = st.integers(1_451_606_400 * 10**9, 4_000_000_000 * 10**9)
conditions = st.lists(texts, max_size=3)

_BAR = dict.fromkeys(("o", "h", "l", "c", "vw"), floats) | {"n": wholes}
# Fields in the order in which Alpaca's streams send them: of shares, then of crypto.
SHARES: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "trades": {"i": wholes, "x": texts, "p": floats, "s": wholes, "c": conditions, "z": texts},
    "quotes": {"bx": texts, "bp": floats, "bs": wholes, "ax": texts, "ap": floats, "as": wholes}
    | {"c": conditions, "z": texts},
    "bars": {name: _BAR[name] for name in "ohlc"} | {"v": wholes, "n": wholes, "vw": floats},
}
CRYPTO: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "trades": {"i": wholes, "p": floats, "s": floats, "tks": st.sampled_from("BS")},
    "quotes": dict.fromkeys(("bp", "bs", "ap", "as"), floats),
    "bars": {name: _BAR[name] for name in "ohlc"} | {"v": floats, "n": wholes, "vw": floats},
}


def over_http(value: Any) -> Any:
    """A value as Go writes it into JSON: a whole number has no decimal point, whatever it was."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


@pytest.mark.property
@pytest.mark.parametrize("is_crypto", [False, True])
@pytest.mark.parametrize("channel", CODES)
@given(data=st.data(), at_ns=times, shuffled=st.randoms())
def test_history_and_stream_make_the_same_entry(
    channel: str, is_crypto: bool, data: st.DataObject, at_ns: int, shuffled: Any
) -> None:
    symbol = "BTC/USD" if is_crypto else "AAPL"
    shape = (CRYPTO if is_crypto else SHARES)[channel]
    drawn = data.draw(st.fixed_dictionaries(shape))
    fields = {name: drawn[name] for name in shape}
    sent = {"T": CODES[channel], "S": symbol} | fields | {"t": msgpack.Timestamp.from_unix_nano(at_ns)}
    batch, kept, _ = split(msgpack.packb([sent]), 4_000_000_001 * 10**9)
    assert not kept
    told = [(name, over_http(value)) for name, value in (fields | {"t": written(at_ns)}).items()]
    shuffled.shuffle(told)
    body = orjson.dumps({channel: {symbol: [dict(told)]}, "next_page_token": None})
    (message,) = read_page(body, channel, is_crypto=is_crypto).messages
    assert orjson.dumps(message) == batch.values[1]
    assert all(math.isfinite(value) for value in message.values() if isinstance(value, float))


def test_what_only_history_says_stands_at_the_end() -> None:
    """Alpaca marks a trade that was cancelled or corrected later; the stream could not know."""
    told = {"u": "canceled", "t": "2026-01-05T14:30:00.1234567891Z", "x": "V", "p": 187, "s": 100, "i": 7}
    message = past_message("trades", "AAPL", told, is_crypto=False)
    assert list(message) == ["T", "i", "S", "x", "p", "s", "t", "u"]
    assert orjson.dumps(message).startswith(b'{"T":"t","i":7,"S":"AAPL","x":"V","p":187.0,"s":100,"t":')
    assert message["t"] == AT_NS


def test_a_message_without_a_time_costs_no_other() -> None:
    body = {"trades": {"A": [{"p": 1}, {"p": 2, "t": written(AT_NS)}, 7], "B": None, "C": []}}
    page = read_page(orjson.dumps(body), "trades", is_crypto=False)
    assert [message["p"] for message in page.messages] == [2.0]
    assert [text.split(":")[0] for text in page.unreadable] == ["trades of A", "trades of A", "trades of B"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"7", b'{"trades": 7}', b'{"next_page_token": 7}', b""])
def test_what_is_no_page_is_refused(body: bytes) -> None:
    with pytest.raises(Unreadable, match="no page of trades"):
        read_page(body, "trades", is_crypto=False)


def test_a_page_may_be_empty_and_not_the_last() -> None:
    page = read_page(b'{"trades": null, "next_page_token": "abc"}', "trades", is_crypto=False)
    assert page == ([], "abc", [])
