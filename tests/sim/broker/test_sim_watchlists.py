"""Watchlists: ordered, each asset once, each name once."""

import pytest

from sim.broker.watchlists import LONGEST_NAME, Watchlists
from sim.exchange.assets import Assets
from sim.refusals import Refused

ASSETS = Assets()
AAPL, MSFT, COIN = (ASSETS.add(symbol) for symbol in ("AAPL", "MSFT", "BTC/USD"))


@pytest.fixture
def lists() -> Watchlists:
    made = Watchlists()
    made.create("1", "first", [AAPL, COIN], 100)
    made.create("2", "second", [], 200)
    return made


def refused(error: pytest.ExceptionInfo[Refused]) -> tuple[int, object]:
    return error.value.status, error.value.body["code"]


def test_lists_are_found_by_id_and_by_name(lists: Watchlists) -> None:
    assert lists.find("1") is lists.find_by_name("first")
    assert [one.name for one in lists.all()] == ["first", "second"]
    for look in (lists.find, lists.find_by_name):
        with pytest.raises(Refused, match="watchlist not found") as error:
            look("third")
        assert refused(error) == (404, 40410000)


def test_assets_come_and_go_in_order(lists: Watchlists) -> None:
    first = lists.find("1")
    lists.add(first, MSFT, 300)
    assert (first.assets, first.created_ns, first.updated_ns) == ([AAPL, COIN, MSFT], 100, 300)
    lists.remove(first, AAPL, 400)
    assert (first.assets, first.updated_ns) == ([COIN, MSFT], 400)
    with pytest.raises(Refused) as error:
        lists.remove(first, AAPL, 500)
    assert refused(error) == (404, 40410000)
    assert first.updated_ns == 400


@pytest.mark.parametrize("name", ["", "x" * (LONGEST_NAME + 1), "second", None])
def test_a_name_that_cannot_be_is_refused(lists: Watchlists, name: str | None) -> None:
    with pytest.raises(Refused) as error:
        lists.create("3", name, [], 300)
    assert refused(error) == (422, 40010001)
    assert len(lists.all()) == 2


def test_a_list_may_keep_its_name(lists: Watchlists) -> None:
    second = lists.find("2")
    lists.update(second, "second", [MSFT], 300)
    assert second.assets == [MSFT]
    lists.update(second, "another", None, 400)
    assert (second.name, second.assets) == ("another", [MSFT])


def test_an_update_that_is_refused_changes_nothing(lists: Watchlists) -> None:
    first = lists.find("1")
    for name, assets in (("second", [MSFT]), ("new", [MSFT, MSFT])):
        with pytest.raises(Refused):
            lists.update(first, name, assets, 300)
    with pytest.raises(Refused):
        lists.add(first, AAPL, 300)
    assert (first.name, first.assets, first.updated_ns) == ("first", [AAPL, COIN], 100)


def test_a_deleted_list_leaves_its_name(lists: Watchlists) -> None:
    lists.delete(lists.find("1"))
    lists.create("3", "first", [], 300)
    assert [one.id for one in lists.all()] == ["2", "3"]
