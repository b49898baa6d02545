"""Pages of history: put together they are the whole, whatever the limit, once each and in order."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.exchange.market_messages import CryptoTrade
from sim.refusals import Refused
from sim.rest.data_query import Window
from sim.rest.pages import select

Kept = dict[str, list[CryptoTrade]]
ALWAYS = Window(0, 1 << 62)


def trade(symbol: str, number: int, time_ns: int) -> CryptoTrade:
    return CryptoTrade(symbol, number, 1.0, 1, "B", time_ns)


@st.composite
def markets(draw: st.DrawFn) -> Kept:
    """Some symbols with some trades each, many of them at the same moment."""
    symbols = draw(st.sets(st.sampled_from(["AAPL", "BRK.B", "BTC/USD", "MSFT", "Z"]), max_size=4))
    times_s = st.lists(st.integers(0, 8), max_size=12).map(sorted)
    return {symbol: [trade(symbol, n, at) for n, at in enumerate(draw(times_s))] for symbol in symbols}


def all_pages(kept: Kept, window: Window, limit: int, is_descending: bool) -> list[list[CryptoTrade]]:
    pages: list[list[CryptoTrade]] = []
    token: str | None = None
    while not pages or token is not None:
        page, token = select(kept, kept.__getitem__, window, limit, is_descending=is_descending, token=token)
        assert all(page.values())
        pages.append([message for messages in page.values() for message in messages])
        assert len(pages) < 100
    return pages


@given(markets(), st.integers(1, 50), st.booleans(), st.integers(0, 8), st.integers(0, 8))
def test_pages_put_together_are_the_whole(
    kept: Kept, limit: int, is_descending: bool, start_ns: int, end_ns: int
) -> None:
    window = Window(start_ns, end_ns)
    pages = all_pages(kept, window, limit, is_descending)
    step = -1 if is_descending else 1
    within = [m for s in sorted(kept) for m in kept[s][::step] if start_ns <= m.time_ns <= end_ns]
    assert [message for page in pages for message in page] == within
    # Every page but the last is full, and there is none too many: also where the end is the end of a page.
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == max(1, -(-len(within) // limit))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9).map(sorted), st.integers(1, 4), st.integers(0, 5))
def test_what_comes_between_two_pages_is_on_the_next(times: list[int], limit: int, more: int) -> None:
    kept = {"A": [trade("A", n, at) for n, at in enumerate(times)]}
    page, token = select(kept, kept.__getitem__, ALWAYS, limit, is_descending=False, token=None)
    kept["A"] += [trade("A", 100 + n, 4 + n) for n in range(more)]
    if token is None:
        return
    rest, _ = select(kept, kept.__getitem__, ALWAYS, 1000, is_descending=False, token=token)
    assert page["A"] + rest["A"] == kept["A"]


@pytest.mark.parametrize(
    "token",
    [
        "%%%",
        "?",
        "QQ",
        base64.b64encode(b"A|x|0").decode(),
        base64.b64encode(b"A|1|-1").decode(),
        "w7/////=",
        "é",
    ],
)
def test_a_token_of_nobodys_is_refused(token: str) -> None:
    with pytest.raises(Refused) as refused:
        select("A", lambda _: [trade("A", 1, 1)], ALWAYS, 10, is_descending=False, token=token)
    assert (refused.value.status, refused.value.body) == (400, {"message": "invalid page token"})


def test_symbols_beyond_the_page_are_not_read() -> None:
    read: list[str] = []

    def kept(symbol: str) -> list[CryptoTrade]:
        read.append(symbol)
        return [trade(symbol, number, number) for number in range(3)]

    page, token = select("DCBA", kept, ALWAYS, 5, is_descending=False, token=None)
    assert {symbol: len(messages) for symbol, messages in page.items()} == {"A": 3, "B": 2}
    assert token is not None
    assert read == ["A", "B"]
