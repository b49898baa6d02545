"""Bad input of every kind: words, numbers, bytes, queries and bodies that no endpoint may fail on."""

import json

from hypothesis import strategies as st

OTHERS_ORDER = "of-the-other-account"  # the client id of an order that only one account may see

WORDS = [
    "", "0", "-0", "-1", "1", "NaN", "Infinity", "1e999", "1e-9999999", "0.0000000001", "9" * 400,
    "0." + "1" * 400, "null", "true", "True", "[]", "{}", "AAPL", "BTC/USD", "BTCUSD",
    "AAPL,MSFT," + "A" * 500, "ZZZZ", ",,,", "*", "2026-01-01", "2026-13-45", "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999999Z", "T", "1" * 30, "now", "all", "open", "closed", "asc", "desc",
    "buy", "sell", "day", "gtc", "market", "limit", "stop", "trailing_stop", "bracket", "oco", "oto",
    "mleg", "1Min", "0Min", "99999Day", "1Day", "1M", "5Min", "raw", "FILL", "500", "10000",
    "00000000-0000-0000-0000-000000000000", "\0", "a\0b", "\r\nX: y", "'\"<>&;--", "..",
    "../../etc/passwd", "%", "\u202e", "💥", "é" * 300, "A" * 2000, "١٢٣", "²", "1_000", " 1", "1 ", "+1",
    "0x10", "1,5", OTHERS_ORDER, "dHJhZGVzfDF8Mg==", "QUFQTHwxfC01",
    "QUFQTHwxfDEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA=", "not base64!",
]  # fmt: skip
RAW = [b"\xff\xfe", b"\xed\xa0\x80", b"\xc0\x80", b"\xf5\x80\x80\x80", b"\x80"]
QUERY = [
    "status", "limit", "after", "until", "direction", "nested", "symbols", "side", "client_order_id",
    "asset_class", "exchange", "qty", "percentage", "cancel_orders", "start", "end", "timeframe", "sort",
    "page_token", "feed", "page_size", "date", "period", "extended_hours", "since", "since_id",
    "until_id", "currency", "adjustment", "asof", "before_order_id", "after_order_id", "loc", "account",
    "symbol", "activity_types", "ca_types", "underlying_symbols", "intraday_reporting", "pnl_reset",
    "date_end", "include_content", "exclude_contentless", "attributes", "date_type", "expiration_date",
    "expiration_date_lte", "strike_price_gte", "type", "cusip",
]  # fmt: skip
FIELDS = [
    "symbol", "qty", "notional", "side", "type", "time_in_force", "limit_price", "stop_price",
    "trail_price", "trail_percent", "trail", "client_order_id", "extended_hours", "order_class",
    "take_profit", "stop_loss", "legs", "position_intent", "name", "symbols", "suspend_trade",
    "no_shorting", "max_margin_multiplier", "trade_confirm_email", "fractional_trading", "fault",
    "stream", "seconds", "count", "ms", "at", "api", "price", "account", "reason",
    "ptp_no_exception_entry", "message", "channel", "seed", "chance", "bid", "ask", "size",
]  # fmt: skip

text = st.one_of(st.sampled_from(WORDS), st.text(max_size=20))
numbers = st.one_of(
    st.integers(-5, 10**12),
    st.integers(),
    st.floats(allow_nan=False),
    st.sampled_from([0, -0.0, 1e308, 5e-324, 10**400, -1, 0.1 + 0.2]),
)
leaves = st.one_of(st.none(), st.booleans(), numbers, text)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3)
    ),
    max_leaves=6,
)
GOOD_ORDER = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "market", "time_in_force": "day"}
_PLAUSIBLE: dict[str, list[object]] = {
    "symbol": ["AAPL", "BTC/USD", "TSLA"],
    "qty": ["1", 2, "0.5", "1e3", None],
    "notional": [None, None, "5", 5.25],
    "side": ["buy", "sell"],
    "type": ["market", "limit", "stop", "stop_limit", "trailing_stop"],
    "time_in_force": ["day", "gtc", "ioc", "fok", "opg", "cls"],
    "limit_price": [None, "100", 250.5, "1", "1000000"],
    "stop_price": [None, "100", 300],
    "trail_price": [None, None, "1"],
    "trail_percent": [None, None, 1.5],
    "order_class": ["", "simple", "bracket", "oco", "oto", "mleg", None],
    "take_profit": [None, {"limit_price": "400"}, {"limit_price": 400, "stop_price": 1}, {}],
    "stop_loss": [None, {"stop_price": "90"}, {"stop_price": 90, "limit_price": 89.5}, {}],
    "extended_hours": [False, False, True],
}
almost_orders = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from(known) for name, known in _PLAUSIBLE.items()}
).map(lambda chosen: {**GOOD_ORDER, **chosen})
# Of what an order may be, one or two things that it may not.
orders = st.tuples(almost_orders, st.dictionaries(st.sampled_from(FIELDS), values, max_size=2)).map(
    lambda both: both[0] | both[1]
)
queries = st.lists(
    st.tuples(st.sampled_from(QUERY), st.one_of(text, st.sampled_from(RAW), st.binary(max_size=6))),
    max_size=3,
)
raw_body_list = [
    b"", b"null", b"[]", b'""', b"0", b"{", b"}", b"NaN", b'{"qty":NaN}', b'{"qty":1e999}', b'{"a":1,"a":2}',
    b'{"symbol":"AAPL","symbol":"MSFT","qty":1,"side":"buy","type":"market","time_in_force":"day"}',
    b"\xff\xfe{}",
    b'{"symbol":"\\ud800"}', b'{"symbol":"\xed\xa0\x80"}', b'{"name":"\\udfff","symbols":["\\ud800"]}',
    b'{"client_order_id":"\\ud83d"}', b'{"symbol":"A\\u0000"}', b"\0" * 100, b"[" * 10_000,
    b'{"legs":' * 10_000,
    b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b'{"qty":' + b"9" * 5_000 + b"}",
    b'{"qty":"' + b"9" * 400 + b'"}', b"symbol=AAPL&qty=1", b'{"qty":1}garbage', b"\xef\xbb\xbf{}",
]  # fmt: skip
raw_bodies = st.sampled_from(raw_body_list)
bodies = st.one_of(
    raw_bodies,
    orders.map(lambda body: json.dumps(body).encode()),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=4).map(lambda body: json.dumps(body).encode()),
    values.map(lambda body: json.dumps(body).encode()),
    st.binary(max_size=40),
)
