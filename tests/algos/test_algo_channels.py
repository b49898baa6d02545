"""Every channel that ingest writes reaches the handler that is named for it, and no other."""

import json
from decimal import Decimal
from typing import Any

import pytest
from golden_messages import MARKET, golden_entries

from algos import Algorithm, Level, News, State, Trade
from algos.algorithm import session_of
from algos.inputs import StateChanged, market_input
from algos.loading import make
from algos.session import Session
from algos.subscription import channels_of, streams_of, subscriptions_of
from bus.delivery import Delivery
from bus.errors import InvalidInput
from bus.feed_kinds import CHANNELS

HANDLERS = {
    "trades": "on_trade",
    "quotes": "on_quote",
    "bars": "on_bar",
    "updatedBars": "on_updated_bar",
    "dailyBars": "on_daily_bar",
    "statuses": "on_trading_status",
    "lulds": "on_luld",
    "corrections": "on_correction",
    "cancelErrors": "on_canceled_trade",
    "imbalances": "on_imbalance",
    "orderbooks": "on_order_book",
    "news": "on_news",
}


def hearing(*names: str) -> type[Algorithm]:
    """A class with these handlers, which keeps what each was given."""
    made: dict[str, Any] = {
        name: lambda self, message, name=name: self.heard.append((name, message)) for name in names
    }
    return type("Hearing", (Algorithm,), {"prepare": lambda self: setattr(self, "heard", []), **made})


def leading(algorithm: Algorithm) -> Session:
    session = session_of(algorithm, "a", "life")
    session.take(StateChanged(State.LEADER, "7:me", 0))
    return session


def delivery(stream: str, data: bytes, entry: str = "1-0") -> Delivery:
    return Delivery(stream, entry, {b"d": data, b"r": b"9", b"feed": b"iex"})


def article(*symbols: str) -> bytes:
    told = {"id": 1, "headline": "h", "symbols": symbols, "created_at": 1, "updated_at": 2}
    return json.dumps(told).encode()


def test_there_is_a_handler_for_every_channel_that_is_written() -> None:
    written = {channel for channels in CHANNELS.values() for channel in channels}
    assert set(HANDLERS) == written
    assert channels_of(hearing(*HANDLERS.values())) == tuple(HANDLERS)


@pytest.mark.parametrize("channel", HANDLERS)
def test_an_entry_reaches_the_handler_of_its_channel_alone(channel: str) -> None:
    entry = next(one for one in golden_entries() if one.get("name") == channel)
    algorithm = hearing(*HANDLERS.values())(symbols=("AAPL", "BTC/USD"))
    session = leading(algorithm)
    symbol = json.loads(entry["d"]).get("S", "AAPL")
    session.take(market_input(delivery(f"md:{symbol}:{channel}", entry["d"].encode()), 0))
    assert algorithm.heard == [(HANDLERS[channel], MARKET[channel])]
    assert session.handled == 2


def test_prices_are_exact_and_conditions_vwap_and_count_are_there() -> None:
    algorithm = hearing(*HANDLERS.values())(symbols=("AAPL",))
    session = leading(algorithm)
    told = {
        "md:AAPL:bars": b'{"S":"AAPL","o":0.1,"h":0.3,"l":0.1,"c":0.2,"v":7,"vw":0.123456789,"n":3,"t":1}',
        "md:AAPL:trades": b'{"S":"AAPL","p":0.1,"s":1,"t":1,"c":["@","I"],"z":"C"}',
        "md:BTC/USD:orderbooks": b'{"S":"BTC/USD","t":1,"b":[{"p":0.1,"s":0}],"a":[]}',
        # Alpaca leaves vwap and count out where a bar has no trade.
        "md:AAPL:dailyBars": b'{"S":"AAPL","o":1,"h":1,"l":1,"c":1,"v":0,"t":1}',
    }
    for stream, data in told.items():
        session.take(market_input(delivery(stream, data), 0))
    bar, trade, book, day = (message for _, message in algorithm.heard)
    assert (bar.vwap, bar.trade_count, bar.open) == (Decimal("0.123456789"), 3, Decimal("0.1"))
    assert trade.conditions == ("@", "I")
    assert (book.bids, book.asks, book.resets) == ((Level(Decimal("0.1"), Decimal(0)),), (), False)
    assert (day.vwap, day.trade_count) == (None, None)


def test_an_article_about_several_symbols_of_mine_is_heard_once() -> None:
    algorithm = hearing("on_news")(symbols=("MSFT", "BTC/USD"))
    session = leading(algorithm)
    # News write a pair without its slash; ingest copies an article to each symbol's stream.
    for stream in ("md:AAPL:news", "md:BTC/USD:news", "md:MSFT:news"):
        session.take(market_input(delivery(stream, article("AAPL", "BTCUSD", "MSFT")), 0))
    ((_, heard),) = algorithm.heard
    assert isinstance(heard, News)
    assert heard.symbols == ("AAPL", "BTC/USD", "MSFT")
    session.take(market_input(delivery("md:MSFT:news", article("MSFT"), "2-0"), 0))
    assert len(algorithm.heard) == 2


def test_a_reader_of_every_symbol_hears_articles_of_none_too() -> None:
    algorithm = hearing("on_news")(symbols=("*",))
    session = leading(algorithm)
    session.take(market_input(delivery("md-all:news:03", article("AAPL", "MSFT")), 0))
    session.take(market_input(delivery("md-all:news:04", article(), "2-0"), 0))
    assert len(algorithm.heard) == 2


def test_each_channel_is_wanted_of_the_symbols_that_have_it() -> None:
    cls = hearing("on_trade", "on_trading_status", "on_order_book", "on_news")
    symbols = ("AAPL", "BTC/USD", "AAPL261218C00200000")
    assert subscriptions_of(cls, symbols) == {
        "trades": symbols,
        "statuses": ("AAPL",),
        "orderbooks": ("BTC/USD",),
        "news": symbols,
    }
    assert subscriptions_of(cls, ("AAPL", "*")) == dict.fromkeys(channels_of(cls), ("*",))
    assert "md:BTC/USD:orderbooks" in streams_of(subscriptions_of(cls, symbols))
    assert "md:AAPL:orderbooks" not in streams_of(subscriptions_of(cls, symbols))


@pytest.mark.parametrize(
    ("handler", "symbols", "said"),
    [
        ("on_order_book", ("AAPL", "KO"), "on_order_book would never be called: only crypto have orderbooks"),
        ("on_luld", ("BTC/USD",), "only stocks have lulds"),
        ("on_bar", ("AAPL261218C00200000",), "only stocks and crypto have bars"),
    ],
)
def test_a_handler_that_no_symbol_has_the_channel_of_is_refused(
    handler: str, symbols: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        make(hearing(handler), symbols, {})


def test_contracts_can_be_heard() -> None:
    algorithm = make(hearing("on_trade"), ("AAPL261218C00200000",), {})
    session = leading(algorithm)
    data = b'{"S":"AAPL261218C00200000","p":7.05,"s":2,"t":1,"x":"N","c":["a"]}'
    session.take(market_input(delivery("md:AAPL261218C00200000:trades", data), 0))
    ((_, trade),) = algorithm.heard  # type: ignore[attr-defined]
    assert trade == Trade(
        symbol="AAPL261218C00200000",
        price=Decimal("7.05"),
        size=Decimal(2),
        at_ns=1,
        exchange="N",
        conditions=("a",),
    )
