"""The wants of readers, united."""

import json

import pytest

from ingest.wants import united, wildcards


def demand(**readers):
    return united({name: json.dumps(wants).encode() for name, wants in readers.items()})


def test_the_union_is_by_feed_and_channel():
    found = demand(a={"trades": ["AAPL", "BTC/USD"]}, b={"trades": ["MSFT"], "bars": ["AAPL"]})
    assert found.subscriptions["stocks"] == {"trades": {"AAPL", "MSFT"}, "bars": {"AAPL"}}
    assert found.subscriptions["crypto"] == {"trades": {"BTC/USD"}}
    assert found.refused == ()


def test_a_pair_is_one_want_in_both_spellings():
    found = demand(a={"trades": ["BTCUSD"]}, b={"trades": ["BTC/USD"]})
    assert (found.subscriptions["stocks"], found.subscriptions["crypto"]) == ({}, {"trades": {"BTC/USD"}})


def test_stars_are_of_stocks_and_star_slash_star_of_crypto():
    found = demand(a={"bars": ["*"], "quotes": ["*/*"], "trades": ["*"]})
    assert found.subscriptions["stocks"] == {"bars": {"*"}, "trades": {"*"}}
    assert found.subscriptions["crypto"] == {"quotes": {"*"}}
    assert wildcards(found.subscriptions["stocks"]) == {"bars", "trades", "corrections", "cancelErrors"}
    assert wildcards(found.subscriptions["crypto"]) == {"quotes"}


def test_corrections_come_with_trades():
    assert demand(a={"corrections": ["AAPL"]}).subscriptions["stocks"] == {"trades": {"AAPL"}}


def test_a_reader_that_cannot_be_read_is_named_and_the_others_count():
    found = united(
        {
            "broken": b"{",
            "list": b"[1]",
            "number": b'{"trades": 7}',
            "mixed": b'{"trades": ["aapl", "MSFT", 5], "odd": ["SPY"], "orderbooks": ["SPY", "ETH/USD"]}',
            "fine": b'{"trades": ["AAPL"]}',
        }
    )
    assert found.subscriptions["stocks"] == {"trades": {"AAPL", "MSFT"}}
    assert found.subscriptions["crypto"] == {"orderbooks": {"ETH/USD"}}
    assert [refused.reader for refused in found.refused] == ["broken", "list", *["mixed"] * 4, "number"]
    sentences = [f"{refused.what}: {refused.why}" for refused in found.refused]
    for part in ("'aapl'", "symbol 5", "'odd' of SPY", "'orderbooks' of SPY"):
        assert any(part in sentence for sentence in sentences)


@pytest.mark.parametrize(
    "symbol", ["AAPL.", ".AAPL", "A..B", "A/", "/USD", "BRK.B/USD", "A" * 17, "A.B.", "BTC/USD/X", "A B", ""]
)
def test_what_cannot_be_a_symbol_is_refused_before_it_is_asked(symbol):
    found = demand(a={"trades": [symbol, "SPY"]})
    assert (found.subscriptions["stocks"], found.subscriptions["crypto"]) == ({"trades": {"SPY"}}, {})
    (refused,) = found.refused
    assert refused.reader == "a"
    assert repr(symbol) in refused.what


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "ABR.PRD", "ACP.PRA.CL", "FAKEPACA", "A" * 16])
def test_what_may_be_a_share_is_asked(symbol):
    assert demand(a={"trades": [symbol]}).subscriptions["stocks"] == {"trades": {symbol}}


def test_who_wants_each_thing_is_known():
    found = demand(a={"trades": ["SPY"]}, b={"trades": ["SPY"], "corrections": ["SPY"], "bars": ["*/*"]})
    assert found.readers["stocks"] == {("trades", "SPY"): ("a", "b")}
    assert found.readers["crypto"] == {("bars", "*"): ("b",)}


def test_snapshots_are_asked_for_and_not_subscribed_to():
    found = demand(a={"snapshots": ["AAPL", "BTC/USD"]}, b={"snapshots": ["*", "MSFT"], "trades": ["SPY"]})
    assert (found.snapshots["stocks"], found.snapshots["crypto"]) == ({"AAPL", "MSFT"}, {"BTC/USD"})
    assert (found.subscriptions["stocks"], found.subscriptions["crypto"]) == ({"trades": {"SPY"}}, {})
    (refused,) = found.refused
    assert "snapshots" in f"{refused.what}: {refused.why}"
