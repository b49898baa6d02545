"""The wants of readers, united."""

import json

from ingest.wants import difference, united, wildcards


def demand(**readers):
    return united({name: json.dumps(wants).encode() for name, wants in readers.items()})


def test_the_union_is_by_feed_and_channel():
    found = demand(a={"trades": ["AAPL", "BTC/USD"]}, b={"trades": ["MSFT"], "bars": ["AAPL"]})
    assert found.stocks == {"trades": {"AAPL", "MSFT"}, "bars": {"AAPL"}}
    assert found.crypto == {"trades": {"BTC/USD"}}
    assert found.refused == ()


def test_a_pair_is_one_want_in_both_spellings():
    found = demand(a={"trades": ["BTCUSD"]}, b={"trades": ["BTC/USD"]})
    assert (found.stocks, found.crypto) == ({}, {"trades": {"BTC/USD"}})


def test_stars_are_of_stocks_and_star_slash_star_of_crypto():
    found = demand(a={"bars": ["*"], "quotes": ["*/*"], "trades": ["*"]})
    assert found.stocks == {"bars": {"*"}, "trades": {"*"}}
    assert found.crypto == {"quotes": {"*"}}
    assert wildcards(found.stocks) == {"bars", "trades", "corrections", "cancelErrors"}
    assert wildcards(found.crypto) == {"quotes"}


def test_corrections_come_with_trades():
    assert demand(a={"corrections": ["AAPL"]}).stocks == {"trades": {"AAPL"}}


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
    assert found.stocks == {"trades": {"AAPL", "MSFT"}}
    assert found.crypto == {"orderbooks": {"ETH/USD"}}
    for name in ("broken", "list", "number", "mixed"):
        assert any(name in sentence for sentence in found.refused)
    assert not any("fine" in sentence for sentence in found.refused)
    assert any("'5?'" in sentence for sentence in found.refused)
    assert any("'aapl'" in sentence for sentence in found.refused)


def test_the_difference_touches_nothing_that_both_have():
    wanted = {"trades": frozenset({"A", "B"}), "bars": frozenset({"A"})}
    subscribed = {"trades": frozenset({"B", "C"}), "quotes": frozenset({"A"})}
    change = difference(wanted, subscribed)
    assert change.add == {"trades": {"A"}, "bars": {"A"}}
    assert change.remove == {"trades": {"C"}, "quotes": {"A"}}
    assert change
    assert not difference(wanted, wanted)


def test_snapshots_are_asked_for_and_not_subscribed_to():
    found = demand(a={"snapshots": ["AAPL", "BTC/USD"]}, b={"snapshots": ["*", "MSFT"], "trades": ["SPY"]})
    assert found.snapshots == {"stocks": {"AAPL", "MSFT"}, "crypto": {"BTC/USD"}}
    assert (found.stocks, found.crypto) == ({"trades": {"SPY"}}, {})
    (refused,) = found.refused
    assert "snapshots" in refused
