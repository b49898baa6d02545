"""History from the data API: whole, each message once, as the streams have it; and where there is none."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from data_api import DataApi
from ingest_run import running, settings_for
from past_market import START, past_market
from simulator import Simulator
from waiting import until

from bus.clock import Clock, ManualClock, SystemClock
from bus.rfc3339 import written
from ingest.data_api import alpaca_data, alpaca_history
from ingest.data_api.alpaca_data import DataUnreachable, NotGiven
from ingest.data_api.alpaca_history import History
from ingest.data_api.request_budget import HISTORY, RequestBudget

pytestmark = pytest.mark.integration

DAY_NS = 86_400_000_000_000
MINUTE_NS = 60_000_000_000
PLAYED_S = 150
START_NS = round(START.timestamp()) * 10**9
END_NS = START_NS + PLAYED_S * 10**9


@pytest.fixture(scope="module")
def market() -> Iterator[Simulator]:
    """A market in virtual time, two minutes and a half old, for the free plan."""
    with past_market("--symbols", "AAPL,MSFT", "--plan", "free", seconds=PLAYED_S) as simulator:
        yield simulator


def history_of(simulator: Simulator, clock: Clock, kind: str = "stocks", feed: str = "iex") -> History:
    """A client of this simulator."""
    keys = simulator.key, simulator.secret
    return History(kind, feed, simulator.data_url, *keys, RequestBudget(100_000), clock)


def past_history(simulator: Simulator, feed: str = "iex") -> History:
    """A client of the market in virtual time."""
    return history_of(simulator, ManualClock(END_NS), feed=feed)


async def everything(
    history: History, channel: str, symbols: list[str], since_ns: int, until_ns: int
) -> list[list[dict[str, Any]]]:
    """All pages."""
    return [page async for page in history.pages(channel, symbols, since_ns, until_ns)]


async def test_what_the_stream_brought_history_brings_byte_for_byte(
    md_url: str, orders_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over many pages; and exactly what is within both ends."""
    monkeypatch.setattr(alpaca_history, "MESSAGES_A_PAGE", 7)
    wants = {"trades": ["AAPL", "BTC/USD"], "quotes": ["AAPL", "BTC/USD"]}
    with Simulator.start("--rate", "400", "--symbols", "AAPL,BTC/USD") as market:
        async with (
            running(settings_for(market, md_url, orders_url)) as run,
            run.wanting("reader", **wants),
        ):
            for channel, symbol in [(channel, symbol) for channel, some in wants.items() for symbol in some]:
                entries = await _entries(run.market, f"md:{symbol}:{channel}")
                first_ns, last_ns = (orjson.loads(entries[at])["t"] for at in (0, -1))
                kind, feed = ("crypto", "crypto") if "/" in symbol else ("stocks", "iex")
                history = history_of(market, SystemClock(), kind, feed)
                pages = await everything(history, channel, [symbol], first_ns, last_ns)
                assert len(pages) > 3
                assert [orjson.dumps(message) for page in pages for message in page] == entries


async def _entries(client: Any, stream: str) -> list[bytes]:
    """The messages in a stream, once it has some."""

    async def enough() -> bool:
        return bool(await client.xlen(stream) > 30)

    await until(enough, f"entries in {stream}")
    return [fields[b"d"] for _, fields in await client.xrange(stream) if b"type" not in fields]


async def test_pages_are_by_symbol_and_then_time_and_nothing_comes_twice(
    market: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca_history, "MOST_SYMBOLS", 1)
    whole = await everything(past_history(market), "trades", ["MSFT", "AAPL"], START_NS, END_NS)
    assert [page[0]["S"] for page in whole] == ["MSFT", "AAPL"]
    monkeypatch.setattr(alpaca_history, "MESSAGES_A_PAGE", 10)
    pages = await everything(past_history(market), "trades", ["MSFT", "AAPL"], START_NS, END_NS)
    messages = [message for page in pages for message in page]
    assert len(pages) > 5
    assert all(map(len, pages))
    assert all(a["t"] <= b["t"] for a, b in pairwise(messages) if a["S"] == b["S"])
    assert messages == whole[0] + whole[1]
    assert len({(one["S"], one["i"]) for one in messages}) == len(messages)


async def test_a_bar_that_is_not_over_is_no_history(market: Simulator) -> None:
    """The simulator, like Alpaca, gives the minute under way as it stands."""
    (bars,) = await everything(past_history(market), "bars", ["AAPL"], START_NS, END_NS)
    assert [(bar["T"], bar["S"], bar["t"]) for bar in bars] == [
        ("b", "AAPL", START_NS),
        ("b", "AAPL", START_NS + MINUTE_NS),
    ]


async def test_what_cannot_be_had_is_said_with_alpacas_words(market: Simulator) -> None:
    window = START_NS, END_NS
    with pytest.raises(NotGiven, match="recent SIP") as recent:
        await everything(past_history(market, "sip"), "trades", ["AAPL"], *window)
    assert (recent.value.code, "recent SIP" in recent.value.text) == (403, True)
    with pytest.raises(NotGiven, match="invalid symbol: NO-SUCH") as unknown:
        await everything(past_history(market), "trades", ["AAPL", "NO-SUCH"], *window)
    assert unknown.value.code == 400
    options = history_of(market, ManualClock(END_NS), "options", "indicative")
    for history, channel in (
        (past_history(market, "test"), "trades"),
        (past_history(market), "statuses"),
        (options, "trades"),
    ):
        with pytest.raises(NotGiven, match="there is no history of"):
            await everything(history, channel, ["AAPL"], *window)


async def test_what_is_delayed_ends_a_quarter_of_an_hour_ago() -> None:
    """Its history is the consolidated tape's; the free plan is refused anything newer."""
    delay_ns = 15 * MINUTE_NS
    with past_market("--symbols", "AAPL", "--plan", "free", seconds=PLAYED_S + 15 * 60) as market:
        delayed = history_of(market, ManualClock(END_NS + delay_ns), feed="delayed_sip")
        (trades,) = await everything(delayed, "trades", ["AAPL"], START_NS, END_NS + delay_ns)
        iex = history_of(market, ManualClock(END_NS + delay_ns))
        (of_iex,) = await everything(iex, "trades", ["AAPL"], START_NS, END_NS)
        assert trades == of_iex
        assert await everything(delayed, "trades", ["AAPL"], END_NS + 1, END_NS + delay_ns) == []


async def test_nothing_asked_is_nothing_found(market: Simulator) -> None:
    assert await everything(past_history(market), "trades", [], START_NS, END_NS) == []
    assert await everything(past_history(market), "trades", ["AAPL"], END_NS, START_NS) == []


async def asked_of(
    api: DataApi, budget: RequestBudget, *, leaves_half: bool = False
) -> list[list[dict[str, Any]]]:
    """What comes of asking it for trades of AAPL."""
    clock = ManualClock(2 * DAY_NS)
    async with api.serving("/v2/stocks/trades") as url:
        history = History(
            "stocks", "delayed_sip", url, "key", "secret", budget, clock, leaves_half=leaves_half
        )
        return await everything(history, "trades", ["AAPL"], 1, 2 * DAY_NS)


ONE = orjson.dumps({"trades": {"AAPL": [{"t": written(5), "p": 1, "i": 1}]}}).decode()
AGAIN = '{"trades": {}, "next_page_token": "same"}'


class Waits:
    """Stands in for a budget: counts the turns taken, and holds nobody up."""

    def __init__(self) -> None:
        self.turns: list[str] = []
        self.paused_s: list[float] = []

    def take(self, lane: str, _: int) -> int:
        """A turn."""
        self.turns.append(lane)
        return 0

    def pause(self, until_ns: int) -> None:
        """How long everybody is to wait, by a clock that stands at 0."""
        self.paused_s.append(until_ns / 1e9)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, alpaca_data.UNTOLD_WAIT_S),
        ({"X-RateLimit-Reset": str(2 * 86_400 + 7)}, 7),
        ({"X-RateLimit-Reset": "1"}, 0.1),
        ({"X-RateLimit-Reset": "99999999999"}, alpaca_data.LONGEST_WAIT_S),
        ({"X-RateLimit-Reset": "nan"}, alpaca_data.LONGEST_WAIT_S),
        ({"X-RateLimit-Reset": "soon"}, alpaca_data.UNTOLD_WAIT_S),
        ({"Retry-After": "3", "X-RateLimit-Reset": "1"}, 3),
    ],
)
async def test_a_refusal_for_the_rate_is_waited_for_by_all(headers: dict[str, str], wait_s: float) -> None:
    api, waits = DataApi((429, "too many requests", headers), (200, ONE, {})), Waits()
    ((message,),) = await asked_of(api, waits)  # type: ignore[arg-type]
    assert message["i"] == 1
    assert waits.paused_s == [pytest.approx(wait_s)]
    assert waits.turns == [HISTORY, HISTORY]
    assert [asked["feed"] for asked in api.asked] == ["sip", "sip"]


@pytest.mark.parametrize(
    ("answer", "words", "requests"),
    [
        ((500, "broken", {}), "status 500: broken", 1),
        ((504, "", {}), "status 504", 1),
        ((302, "", {"Location": "/elsewhere"}), "status 302", 1),
        ((408, "slow", {}), "status 408", 1),
        ((200, "<html>", {}), "cannot be read", 1),
        ((200, AGAIN, {}), "the same page of trades again", 2),
        ((0, "", {}), "does not answer: TimeoutError", 1),
        ((429, "too many requests", {}), "status 429", alpaca_history.MOST_REFUSALS),
    ],
)
async def test_no_usable_answer_is_for_later(
    answer: tuple[int, str, dict[str, str]], words: str, requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca_history, "PAGE_TIMEOUT_S", 0.2 if answer[0] == 0 else 5.0)
    api = DataApi(answer)
    with pytest.raises(DataUnreachable, match=words):
        await asked_of(api, Waits())  # type: ignore[arg-type]
    assert len(api.asked) == requests


@pytest.mark.parametrize(("remaining", "waits_s"), [("99", [7]), ("100", []), ("many", [])])
async def test_one_that_is_not_urgent_leaves_half_of_the_limit_to_others(
    remaining: str, waits_s: list[float]
) -> None:
    left = {"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": remaining}
    api, waits = DataApi((200, ONE, left | {"X-RateLimit-Reset": str(2 * 86_400 + 7)})), Waits()
    await asked_of(api, waits, leaves_half=True)  # type: ignore[arg-type]
    assert waits.paused_s == [pytest.approx(wait_s) for wait_s in waits_s]
    await asked_of(api, urgent := Waits())  # type: ignore[arg-type]
    assert urgent.paused_s == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
async def test_a_refusal_is_not_asked_again(code: int) -> None:
    api = DataApi((code, "no", {}))
    with pytest.raises(NotGiven, match=f"status {code}: no") as given:
        await asked_of(api, Waits())  # type: ignore[arg-type]
    assert (given.value.code, given.value.text, len(api.asked)) == (code, "no", 1)


async def test_keys_are_not_shown() -> None:
    history = History(
        "stocks", "iex", "http://127.0.0.1:9", "k3y", "s3cret", RequestBudget(200), SystemClock()
    )
    with pytest.raises(DataUnreachable, match="does not answer") as gone:
        await everything(history, "trades", ["AAPL"], START_NS, END_NS)
    shown = repr(history) + repr(gone.value)
    assert "k3y" not in shown
    assert "s3cret" not in shown
