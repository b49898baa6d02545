"""Bars, the pace, the codecs, the generated market and the budget."""

from decimal import Decimal

import msgpack
import orjson
import pytest

from sim.exchange.assets import made_up
from sim.exchange.bars import BarBuilder
from sim.exchange.generator import Generator
from sim.exchange.market import Market
from sim.exchange.market_messages import Bar, Quote, Trade
from sim.exchange.pace import Burst, Pace
from sim.rest.rate_limit import WINDOW_NS, RateLimit
from sim.streams.codecs import JSON, MSGPACK
from sim.times import MINUTE_NS, SECOND_NS, parse_ns, rfc3339

NOW_NS = 1_763_861_749_123_456_789


def trade(symbol: str, price: float, time_ns: int, size: int = 1) -> Trade:
    return Trade(symbol, 1, "V", price, size, ["@"], "C", time_ns)


def test_a_frame_reads_as_alpaca_writes_it() -> None:
    quote = Quote("AAPL", "V", 1.5, 2, "Q", 1.75, 3, ["R"], "C", NOW_NS)
    packed = msgpack.unpackb(MSGPACK.frame([MSGPACK.message(quote)] * 20))
    assert len(packed) == 20
    assert list(packed[0]) == ["T", "S", "bx", "bp", "bs", "ax", "ap", "as", "c", "z", "t"]
    assert packed[0]["t"] == msgpack.Timestamp(*divmod(NOW_NS, SECOND_NS))
    written = orjson.loads(JSON.frame([JSON.message(quote)] * 2))
    assert written[1] == {
        "T": "q", "S": "AAPL", "bx": "V", "bp": 1.5, "bs": 2, "ax": "Q", "ap": 1.75, "as": 3, "c": ["R"],
        "z": "C", "t": "2025-11-23T01:35:49.123456789Z",
    }  # fmt: skip
    assert quote.time_ns == NOW_NS


def test_times_are_read_as_they_are_written() -> None:
    assert parse_ns(rfc3339(NOW_NS)) == NOW_NS
    assert parse_ns("2025-11-22T20:35:49.5-05:00") == NOW_NS // SECOND_NS * SECOND_NS + 500_000_000
    assert rfc3339(parse_ns("2025-11-23")) == "2025-11-23T00:00:00Z"
    assert rfc3339(1_500_000_000) == "1970-01-01T00:00:01.5Z"
    for wrong in ("", "noon", "2025-13-01"):
        with pytest.raises(ValueError):
            parse_ns(wrong)


def test_a_bar_holds_the_trades_of_its_period_and_starts_with_it() -> None:
    bars = BarBuilder(MINUTE_NS)
    start_ns = 100 * MINUTE_NS
    for price, size, after_s in ((10.0, 1, 1), (12.0, 3, 2), (9.0, 1, 3), (11.0, 5, 59)):
        assert bars.closed(start_ns + after_s * SECOND_NS) == []
        bars.add(trade("AAPL", price, start_ns + after_s * SECOND_NS, size))
    assert bars.closed(start_ns + MINUTE_NS) == [Bar("AAPL", 10.0, 12.0, 9.0, 11.0, 10, 4, 11.0, start_ns)]
    assert bars.closed(start_ns + 2 * MINUTE_NS) == []


def test_a_steady_pace_plays_what_was_asked() -> None:
    assert Pace(250).due(4.0) == 1000


def test_a_burst_replaces_the_rate_at_the_end_of_each_round() -> None:
    pace = Pace(100, Burst(5000, 1, 10))
    assert [pace.due(at) for at in (9.0, 9.5, 10.0, 19.0, 20.0)] == [900, 3400, 5900, 6800, 11800]


def test_the_same_seed_makes_the_same_market() -> None:
    assets = [made_up("AAPL"), made_up("BTC/USD")]
    first, second, other = (
        Generator(assets, seed).messages(200, NOW_NS, NOW_NS + 1000) for seed in (1, 1, 2)
    )
    assert first == second != other


def test_prices_move_some_cents_within_seconds_and_quotes_never_cross() -> None:
    generator = Generator([made_up("AAPL")], 3)
    trades: list[float] = []
    last_id = 0
    for step in range(1000):
        at_ns = NOW_NS + step * SECOND_NS // 100
        for message in generator.messages(2, at_ns, at_ns + SECOND_NS // 100):
            if isinstance(message, Trade):
                assert message.id == last_id + 1
                last_id = message.id
                trades.append(message.price)
            elif isinstance(message, Quote):
                assert 0.005 < message.ask_price - message.bid_price < 0.025
    assert max(trades) - min(trades) > 0.06
    assert all(Decimal(str(price)) % Decimal("0.01") == 0 for price in trades)


def test_the_minute_is_full_after_the_limit_and_says_when_it_ends() -> None:
    limit = RateLimit(2)
    assert [limit.ask(NOW_NS).remaining for _ in range(2)] == [1, 0]
    refused = limit.ask(NOW_NS + 5)
    assert not refused.is_allowed
    assert refused.headers() == {
        "X-RateLimit-Limit": "2",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str((NOW_NS + WINDOW_NS) // SECOND_NS + 1),
    }
    assert limit.exhausted(NOW_NS, NOW_NS + 2 * SECOND_NS).reset_s == NOW_NS // SECOND_NS + 3
    assert limit.ask(NOW_NS + WINDOW_NS).is_allowed


def test_a_symbol_never_quoted_trades_at_its_last_price() -> None:
    market = Market()
    assert market.touch("SPY") is None
    market.show(trade("SPY", 167.44, NOW_NS))
    touch = market.touch("SPY")
    assert touch is not None
    assert touch.bid == touch.ask == Decimal("167.44")
    market.show(Quote("SPY", "V", 167.4, 1, "V", 0.0, 0, ["R"], "B", NOW_NS))
    touch = market.touch("SPY")
    assert touch is not None
    assert (touch.bid, touch.ask) == (Decimal("167.4"), None)


def test_a_canceled_trade_is_not_the_last_price() -> None:
    market = Market()
    first, second = trade("SPY", 167.44, NOW_NS), trade("SPY", 170.0, NOW_NS + 1)
    second.id = 2
    for one in (first, second):
        market.show(one)
    assert market.cancel_trade("SPY", 2) is second
    assert (market.traded_at("SPY"), market.last_trade("SPY")) == (Decimal("167.44"), first)
    assert market.cancel_trade("SPY", 7) is None
    right = trade("SPY", 166.0, NOW_NS)
    right.id = 3
    assert market.correct_trade("SPY", 1, right) is first
    assert (market.traded_at("SPY"), market.trades("SPY")) == (Decimal("166.0"), [first, right, second])
    assert [market.change_of(one) for one in (first, right, second)] == ["incorrect", "corrected", "canceled"]
    assert market.cancel_trade("SPY", 3) is right
    assert market.traded_at("SPY") is None
