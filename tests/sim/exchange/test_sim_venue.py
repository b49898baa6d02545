"""What a venue plays: nothing of a halted symbol, and no shares while their market is closed."""

from datetime import datetime

from sim.exchange.assets import made_up
from sim.exchange.generator import Generator
from sim.exchange.hours import MarketHours, nanoseconds
from sim.exchange.market import Market
from sim.exchange.market_messages import Bar, CryptoQuote, CryptoTrade, DailyBar, Quote, Trade
from sim.exchange.sessions import NEW_YORK
from sim.exchange.venue import Venue
from sim.times import MINUTE_NS, SECOND_NS


def at(hour: int, minute: int, day: int = 5) -> int:
    """A time in New York; the 5th of January 2026 is a Monday."""
    return nanoseconds(datetime(2026, 1, day, hour, minute, tzinfo=NEW_YORK))


def venue_of(*symbols: str, never_closes: bool = False) -> tuple[Venue, Generator]:
    generator = Generator([made_up(symbol) for symbol in symbols], 1)
    return Venue(Market(), MINUTE_NS, generator, hours=MarketHours(never_closes)), generator


def played(venue: Venue, generator: Generator, now_ns: int) -> set[str]:
    """The symbols of a second's messages that happened."""
    return {
        message.symbol
        for message in venue.play(list(generator.messages(40, now_ns - SECOND_NS, now_ns)), now_ns)
    }


def test_shares_are_silent_at_night_and_at_weekends_and_coins_never() -> None:
    venue, generator = venue_of("AAPL", "BTC/USD")
    for moment, trades in (
        (at(3, 59), False), (at(4, 0), True), (at(9, 29), True), (at(12, 0), True), (at(19, 59), True),
        (at(20, 0), False), (at(12, 0, 10), False), (at(12, 0, 12), True),
    ):  # fmt: skip
        assert played(venue, generator, moment) == ({"AAPL", "BTC/USD"} if trades else {"BTC/USD"})


def test_a_market_that_never_closes_plays_at_night() -> None:
    venue, generator = venue_of("AAPL", never_closes=True)
    assert played(venue, generator, at(3, 0)) == {"AAPL"}


def test_nothing_happens_in_a_halted_symbol() -> None:
    venue, generator = venue_of("AAPL", "MSFT")
    venue.halt("AAPL")
    assert played(venue, generator, at(12, 0)) == {"MSFT"}
    venue.resume("AAPL", at(12, 0))
    assert played(venue, generator, at(12, 1)) == {"AAPL", "MSFT"}


def test_a_recording_plays_at_any_time() -> None:
    venue = Venue(Market(), MINUTE_NS, None, hours=MarketHours(never_closes=False))
    quote = Quote("AAPL", "V", 1.0, 1, "V", 1.1, 1, ["R"], "C", at(3, 0))
    assert venue.play([quote], at(3, 0)) == [quote]


def test_the_day_so_far_is_told_after_each_minute_once_the_market_has_opened() -> None:
    venue, _ = venue_of("AAPL", "BTC/USD")
    told: list[DailyBar] = []
    for minute, price, size in ((28, 10.0, 1), (29, 12.0, 2), (30, 9.0, 3)):
        trade = Trade("AAPL", minute, "V", price, size, ["@"], "C", at(9, minute) + SECOND_NS)
        venue.play([trade], trade.time_ns)
        ended = venue.close_bars(at(9, minute + 1))
        assert isinstance(ended[0], Bar)
        told += [bar for bar in ended if isinstance(bar, DailyBar)]
    assert [(bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in told] == [
        (10.0, 12.0, 10.0, 12.0, 3), (10.0, 12.0, 9.0, 9.0, 6),
    ]  # fmt: skip
    assert {bar.time_ns for bar in told} == {at(0, 0)}


def test_a_coins_day_is_told_at_night_too() -> None:
    venue, generator = venue_of("BTC/USD")
    venue.play(list(generator.messages(40, at(2, 0), at(2, 0) + SECOND_NS)), at(2, 0) + SECOND_NS)
    told = venue.close_bars(at(2, 1))
    assert [type(bar) for bar in told] == [Bar, DailyBar]
    assert isinstance(venue.market.last_quote("BTC/USD"), CryptoQuote)


def test_a_late_trade_is_not_the_last_one() -> None:
    venue, _ = venue_of()
    trades = [Trade("AAPL", number, "V", 1.0 + number, 1, ["@"], "C", at(12, number)) for number in (1, 2, 3)]
    venue.play([trades[0], trades[2]], at(12, 3))
    venue.trade_late(trades[1])
    assert venue.market.last_trade("AAPL") is trades[2]
    assert venue.market.trades("AAPL") == trades


def test_the_volume_of_a_coin_is_no_whole_number_and_that_of_a_share_is() -> None:
    venue, _ = venue_of()
    moment = at(12, 0)
    share = Trade("AAPL", 1, "V", 1.0, 2, ["@"], "C", moment)
    venue.play([share, CryptoTrade("BTC/USD", 1, 1.0, 2.0, "B", moment)], moment)
    bars = [bar for bar in venue.close_bars(moment + MINUTE_NS) if isinstance(bar, Bar)]
    assert [(bar.symbol, type(bar.volume)) for bar in bars] == [("AAPL", int), ("BTC/USD", float)]
