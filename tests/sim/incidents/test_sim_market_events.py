"""Every kind of market message, as alpaca-py's own streams and models take them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from alpaca.data.live.crypto import CryptoDataStream
from alpaca.data.live.news import NewsDataStream
from alpaca.data.live.option import OptionDataStream
from alpaca.data.live.stock import StockDataStream
from alpaca.data.models import Bar, News, Orderbook, Quote, Trade, TradeCancel, TradeCorrection, TradingStatus
from alpaca.data.requests import StockTradesRequest
from alpaca.trading.requests import MarketOrderRequest
from simulator import Simulator, running
from waiting import until

# Half a minute before a minute ends, on a trading day of shares.
START = "2026-01-05T10:00:30-05:00"
MIDNIGHT = datetime(2026, 1, 5, 5, tzinfo=UTC)

Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    arguments = ("--symbols", "AAPL,KO,BTC/USD", "--rate", "60", "--virtual-time", "--start", START)
    with Simulator.start(*arguments) as started:
        yield started


@pytest.fixture
def ask(simulator: Simulator) -> Ask:
    """Ask something of the control endpoint."""

    def post(path: str, **body: Any) -> Any:
        answer = requests.post(simulator.control_url + path, json=body, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return post


class Heard:
    """What the handlers of a stream were given, by the type of its model."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def on(self, message: Any) -> None:
        self.messages.append(message)

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.messages if type(message) is kind]

    async def some(self, kind: type, count: int = 1) -> list[Any]:
        await until(lambda: len(self.of(kind)) >= count, f"{count} of {kind.__name__}", timeout_s=5)
        return self.of(kind)


async def listening(simulator: Simulator, name: str) -> None:
    await until(lambda: simulator.state()["clients"][name] == 1, "the stream is connected")


@pytest.fixture
async def stocks(simulator: Simulator, ask: Ask) -> AsyncIterator[Heard]:
    """Everything about every share."""
    heard = Heard()
    stream = StockDataStream(simulator.key, simulator.secret, url_override=simulator.stocks_stream_url)
    stream.subscribe_trades(heard.on, "*")
    stream.subscribe_quotes(heard.on, "*")
    stream.subscribe_bars(heard.on, "*")
    stream.subscribe_updated_bars(heard.on, "*")
    stream.subscribe_daily_bars(heard.on, "*")
    stream.subscribe_trading_statuses(heard.on, "*")
    stream.register_trade_corrections(heard.on)
    stream.register_trade_cancels(heard.on)
    stream._subscribe(heard.on, ("*",), stream._handlers["lulds"])  # there is no public way
    async with running(stream):
        await until(lambda: stream._running, "subscribed")
        await play_until(ask, lambda: bool(heard.of(Trade)))
        yield heard
    await until(lambda: simulator.state()["clients"]["stocks"] == 0, "the stream is gone")


async def play_until(ask: Ask, condition: Callable[[], bool]) -> None:
    """Let virtual time pass, some seconds at a time, until it holds."""

    def passed() -> bool:
        ask("/clock", seconds=5)
        return condition()

    await until(lambda: asyncio.to_thread(passed), "it has come", timeout_s=10)


async def test_trades_quotes_and_bars_of_a_minute_and_of_the_day_so_far(stocks: Heard, ask: Ask) -> None:
    await play_until(ask, lambda: len(stocks.of(Bar)) >= 4)
    days = [bar for bar in stocks.of(Bar) if bar.timestamp == MIDNIGHT]
    minutes = [bar for bar in stocks.of(Bar) if bar.timestamp != MIDNIGHT]
    assert {bar.symbol for bar in days} == {bar.symbol for bar in minutes} == {"AAPL", "KO"}
    for day in days:
        same = [bar for bar in minutes if bar.symbol == day.symbol and bar.timestamp < day.timestamp]
        assert day.volume >= sum(bar.volume for bar in same)
        assert day.low <= day.open <= day.high
    assert stocks.of(Quote)


async def test_a_halt_and_its_end_in_the_words_of_each_tape(stocks: Heard, ask: Ask) -> None:
    ask("/halts", symbol="AAPL", reason="news_pending")
    ask("/halts", symbol="KO", reason="M")
    halts = {status.symbol: status for status in await stocks.some(TradingStatus, 2)}
    assert (halts["AAPL"].status_code, halts["AAPL"].reason_code, halts["AAPL"].tape) == ("H", "T1", "C")
    assert (halts["KO"].status_code, halts["KO"].status_message) == ("2", "Trading Halt")
    assert (halts["KO"].reason_code, halts["KO"].tape) == ("M", "A")
    ask("/clock", seconds=2)
    ask("/resumes", symbol="AAPL")
    ask("/resumes", symbol="KO")
    statuses = await stocks.some(TradingStatus, 5)
    halted, resumed = (stocks.messages.index(statuses[number]) for number in (1, 2))
    assert not [m for m in stocks.messages[halted:resumed] if type(m) in (Trade, Quote)]
    played = len(stocks.of(Trade)) + len(stocks.of(Quote))
    assert [(status.symbol, status.status_code) for status in statuses[2:]] == [
        ("AAPL", "Q"), ("AAPL", "T"), ("KO", "3"),
    ]  # fmt: skip
    await play_until(ask, lambda: len(stocks.of(Trade)) + len(stocks.of(Quote)) > played)


async def test_a_circuit_breaker_halts_every_share(stocks: Heard, ask: Ask) -> None:
    ask("/halts", symbol="KO")
    told = {
        status["S"]: status["rc"] for status in ask("/halts", symbol="*", reason="circuit_breaker")["told"]
    }
    assert told["AAPL"] == "MWC1"
    assert "KO" not in told
    assert {"AAPL", "KO"} <= {status["S"] for status in ask("/resumes", symbol="*")["told"]}
    await stocks.some(TradingStatus, 5)
    assert ask("/resumes", symbol="*")["told"] == []


async def test_orders_of_a_halted_share_wait_and_are_filled_when_it_resumes(
    simulator: Simulator, ask: Ask
) -> None:
    client = simulator.trading_client()
    ask("/halts", symbol="AAPL", reason="LUDP")
    request = MarketOrderRequest(symbol="AAPL", qty=1, side="buy", time_in_force="day")
    order = await asyncio.to_thread(client.submit_order, request)
    ask("/clock", seconds=3)
    assert (await asyncio.to_thread(client.get_order_by_id, order.id)).status == "new"
    ask("/resumes", symbol="AAPL")
    ask("/clock", seconds=3)
    assert (await asyncio.to_thread(client.get_order_by_id, order.id)).status == "filled"
    client._session.close()


async def test_price_bands_come_suspended_and_back(stocks: Heard, ask: Ask) -> None:
    def bands() -> list[dict[str, Any]]:
        return [m for m in stocks.of(dict) if m["T"] == "l" and m["S"] == "AAPL"]

    await play_until(ask, lambda: bool(bands()))
    first = bands()[0]
    assert set(first) == {"T", "S", "u", "d", "i", "t", "z"}
    middle = (first["u"] + first["d"]) / 2
    assert first["u"] - middle == pytest.approx(0.05 * middle, abs=0.02)
    ask("/halts", symbol="AAPL", reason="volatility")
    await until(lambda: bands()[-1]["i"] == "D", "bands are suspended")
    many = len(bands())
    ask("/clock", seconds=40)
    assert len(bands()) == many
    ask("/resumes", symbol="AAPL")
    await until(lambda: bands()[-1]["i"] == "E", "bands are back")
    await play_until(ask, lambda: len(bands()) > many + 1)


async def test_a_correction_and_a_cancel_change_history_too(
    stocks: Heard, simulator: Simulator, ask: Ask
) -> None:
    def trades() -> list[Trade]:
        return [trade for trade in stocks.of(Trade) if trade.symbol == "AAPL"]

    await play_until(ask, lambda: bool(trades()))
    first = trades()[0]
    ask("/corrections", symbol="AAPL", id=first.id, price=123.45)
    last = ask("/cancels", symbol="AAPL")["told"][0]
    (correction,) = await stocks.some(TradeCorrection)
    assert (correction.original_id, correction.original_price) == (first.id, first.price)
    assert (correction.corrected_price, correction.corrected_size) == (123.45, first.size)
    (cancel,) = await stocks.some(TradeCancel)
    assert (cancel.id, cancel.price, cancel.action) == (last["i"], last["p"], "C")
    assert last["i"] in {trade.id for trade in stocks.of(Trade)}
    client = simulator.stock_data_client()
    asked = StockTradesRequest(symbol_or_symbols="AAPL", start=first.timestamp - timedelta(seconds=1))
    found = await asyncio.to_thread(client.get_stock_trades, asked)
    by_id = {trade.id: trade for trade in found["AAPL"]}
    assert by_id[correction.corrected_id].price == 123.45
    client._session.close()


async def test_a_late_trade_changes_its_bar_half_a_minute_after_the_minute(stocks: Heard, ask: Ask) -> None:
    await play_until(ask, lambda: len([b for b in stocks.of(Bar) if b.timestamp != MIDNIGHT]) >= 2)
    before = next(b for b in reversed(stocks.of(Bar)) if b.symbol == "AAPL" and b.timestamp != MIDNIGHT)
    late = ask("/late_trades", symbol="AAPL", price=before.high + 1, size=7.0)["told"][0]
    assert before.timestamp <= datetime.fromisoformat(late["t"]) < before.timestamp + timedelta(minutes=1)
    assert isinstance(late["s"], int)
    await until(lambda: late["i"] in {trade.id for trade in stocks.of(Trade)}, "the trade is told")
    many = len(stocks.of(Bar))
    ask("/clock", seconds=30)
    await until(lambda: len(stocks.of(Bar)) > many, "the bar is told anew")
    updated = stocks.of(Bar)[many]
    assert (updated.symbol, updated.timestamp) == ("AAPL", before.timestamp)
    assert (updated.high, updated.close) == (before.high + 1, before.high + 1)
    assert updated.volume == before.volume + 7
    assert updated.trade_count == before.trade_count + 1


async def test_a_correction_tells_the_bar_of_its_trade_anew(stocks: Heard, ask: Ask) -> None:
    def minutes() -> list[Any]:
        return [b for b in stocks.of(Bar) if b.symbol == "AAPL" and b.timestamp != MIDNIGHT]

    # The first that is over holds trades from before anybody listened.
    await play_until(ask, lambda: len(minutes()) >= 2)
    bar = minutes()[1]
    within = [t for t in stocks.of(Trade) if t.symbol == "AAPL" and t.timestamp >= bar.timestamp]
    wrong = next(t for t in within if t.timestamp < bar.timestamp + timedelta(minutes=1))
    ask("/corrections", symbol="AAPL", id=wrong.id, size=wrong.size + 1000)
    await play_until(ask, lambda: len(minutes()) > 2)
    updated = minutes()[2]
    assert (updated.timestamp, updated.trade_count) == (bar.timestamp, bar.trade_count)
    assert updated.volume == bar.volume + 1000


async def test_order_books_begin_whole_and_follow_the_quotes(simulator: Simulator, ask: Ask) -> None:
    heard = Heard()
    stream = CryptoDataStream(simulator.key, simulator.secret, url_override=simulator.crypto_stream_url)
    stream.subscribe_orderbooks(heard.on, "BTC/USD")
    stream.subscribe_quotes(heard.on, "BTC/USD")
    stream.subscribe_trades(heard.on, "*")
    stream.subscribe_bars(heard.on, "*")
    stream.subscribe_daily_bars(heard.on, "*")
    async with running(stream):
        await heard.some(Orderbook)
        await play_until(ask, lambda: len(heard.of(Orderbook)) > 20 and len(heard.of(Bar)) >= 2)
    first, *changes = heard.of(Orderbook)
    assert first.reset
    assert not any(change.reset for change in changes)
    sides: list[dict[float, float]] = [{}, {}]
    quotes = {quote.timestamp: quote for quote in heard.of(Quote)}
    for book in (first, *changes):
        for side, levels in zip(sides, (book.bids, book.asks), strict=True):
            for level in levels:
                side[level.price] = level.size
                if level.size == 0:
                    del side[level.price]
        bids, asks = sides
        quote = quotes.get(book.timestamp)
        if quote is not None:
            assert (max(bids), bids[max(bids)]) == (quote.bid_price, quote.bid_size)
            assert (min(asks), asks[min(asks)]) == (quote.ask_price, quote.ask_size)


async def test_options_of_the_played_shares_are_quoted_and_traded(simulator: Simulator, ask: Ask) -> None:
    heard = Heard()
    url = simulator.stocks_stream_url.replace("/v2/iex", "/v1beta1/indicative")
    stream = OptionDataStream(simulator.key, simulator.secret, url_override=url)
    contract = "AAPL260116C00200000"
    stream.subscribe_quotes(heard.on, contract, "MSFT260116P00400000")
    stream.subscribe_trades(heard.on, "*")
    async with running(stream):
        await until(lambda: stream._running, "subscribed")
        await play_until(ask, lambda: len(heard.of(Quote)) > 10 and len(heard.of(Trade)) > 3)
    assert contract in {quote.symbol for quote in heard.of(Quote)}
    assert all(0 < quote.bid_price < quote.ask_price for quote in heard.of(Quote))
    assert all(isinstance(message.conditions, str) for message in heard.messages)
    assert {trade.symbol[:4] for trade in heard.of(Trade)} <= {"AAPL", "KO26", "MSFT"}


async def test_news_reach_who_wants_any_of_their_symbols(simulator: Simulator, ask: Ask) -> None:
    heard = Heard()
    url = simulator.stocks_stream_url.replace("/v2/iex", "/v1beta1/news")
    stream = NewsDataStream(simulator.key, simulator.secret, url_override=url)
    stream.subscribe_news(heard.on, "AAPL", "KO")
    async with running(stream):
        await until(lambda: stream._running, "subscribed")
        ask("/news", headline="Nobody asked about this", symbols=["MSFT"])
        made = ask("/news", headline="Both rise", symbols=["AAPL", "MSFT"], content="<p>They do.</p>")
        (article,) = await heard.some(News)
    assert (article.id, article.headline, article.symbols) == (made["id"], "Both rise", ["AAPL", "MSFT"])
    assert article.created_at.tzinfo is not None


async def test_the_test_feed_plays_its_own_share(simulator: Simulator, ask: Ask) -> None:
    heard = Heard()
    url = simulator.stocks_stream_url.replace("/iex", "/test")
    stream = StockDataStream(simulator.key, simulator.secret, url_override=url)
    stream.subscribe_trades(heard.on, "FAKEPACA")
    stream.subscribe_quotes(heard.on, "*")
    stream.subscribe_bars(heard.on, "FAKEPACA")
    async with running(stream):
        await until(lambda: stream._running, "subscribed")
        await play_until(ask, lambda: bool(heard.of(Trade) and heard.of(Quote) and heard.of(Bar)))
    assert {message.symbol for message in heard.messages} == {"FAKEPACA"}
