"""Assets, watchlists, announcements and option contracts under TradingClient."""

import warnings
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import AssetClass, AssetExchange, AssetStatus, CorporateActionType
from alpaca.trading.models import Asset, OptionContractsResponse, Watchlist
from alpaca.trading.requests import (
    CreateWatchlistRequest,
    GetAssetsRequest,
    GetCorporateAnnouncementsRequest,
    GetOptionContractsRequest,
    UpdateWatchlistRequest,
)
from simulator import Simulator

CONTRACT = "AAPL250620C00100000"


@pytest.fixture(scope="module")
def client() -> Iterator[TradingClient]:
    with Simulator.start("--requests-per-minute", "100000", "--rate", "1") as simulator:
        made = simulator.trading_client()
        yield made
        made._session.close()


@pytest.fixture
def watchlist(client: TradingClient) -> Iterator[Watchlist]:
    request = CreateWatchlistRequest(name="mine", symbols=["MSFT", "AAPL"])
    made = client.create_watchlist(request)
    assert isinstance(made, Watchlist)
    yield made
    for one in client.get_watchlists():
        assert isinstance(one, Watchlist)
        client.delete_watchlist_by_id(one.id)


def refusal(call: Callable[[], Any]) -> tuple[int, int, str]:
    with pytest.raises(APIError) as error:
        call()
    return error.value.status_code, error.value.code, error.value.message


def symbols(watchlist: object) -> list[str]:
    assert isinstance(watchlist, Watchlist)
    assert watchlist.assets is not None
    return [asset.symbol for asset in watchlist.assets]


def listed(client: TradingClient, **fields: Any) -> list[Asset]:
    found = client.get_all_assets(GetAssetsRequest(**fields))
    return [asset for asset in found if isinstance(asset, Asset)]


def test_assets_are_listed_by_class_exchange_and_symbol(client: TradingClient) -> None:
    every = listed(client)
    keys = [(asset.asset_class.value, asset.exchange.value, asset.symbol) for asset in every]
    assert keys == sorted(keys)
    assert {asset.asset_class for asset in every} == {AssetClass.CRYPTO, AssetClass.US_EQUITY}


def test_assets_are_found_by_every_filter(client: TradingClient) -> None:
    every = listed(client)
    for status in AssetStatus:
        expected = [asset for asset in every if asset.status == status]
        assert listed(client, status=status) == expected
    coins = listed(client, asset_class=AssetClass.CRYPTO, exchange=AssetExchange.CRYPTO)
    assert coins == [asset for asset in every if asset.asset_class == AssetClass.CRYPTO]
    on_nasdaq = listed(client, exchange=AssetExchange.NASDAQ)
    assert on_nasdaq == [asset for asset in every if asset.exchange == AssetExchange.NASDAQ]
    assert 0 < len(on_nasdaq) < len(every)
    with_options = listed(client, attributes="has_options,ptp_no_exception")
    assert with_options
    assert all({"has_options", "ptp_no_exception"} & set(asset.attributes or ()) for asset in with_options)
    assert listed(client, attributes="nobody_has_this") == []


@pytest.mark.parametrize("query", [{"status": "new"}, {"asset_class": "art"}, {"exchange": "MOON"}], ids=str)
def test_a_filter_that_cannot_be_is_refused(client: TradingClient, query: dict[str, str]) -> None:
    assert refusal(lambda: client.get("/assets", query))[:2] == (422, 40010001)


@pytest.mark.parametrize("name", ["BTC/USD", "BTCUSD", "BTC%2FUSD"])
def test_a_pair_is_found_by_every_name_it_has(client: TradingClient, name: str) -> None:
    found = client.get_asset(name)
    assert isinstance(found, Asset)
    assert found.symbol == "BTC/USD"
    again = client.get_asset(found.id)
    assert again == found


def test_a_watchlist_is_an_ordered_list_of_assets(client: TradingClient, watchlist: Watchlist) -> None:
    assert symbols(watchlist) == ["MSFT", "AAPL"]
    assert symbols(client.get_watchlist_by_id(watchlist.id)) == ["MSFT", "AAPL"]
    assert symbols(client.add_asset_to_watchlist_by_id(watchlist.id, "BTC/USD")) == [
        "MSFT",
        "AAPL",
        "BTC/USD",
    ]
    assert symbols(client.remove_asset_from_watchlist_by_id(watchlist.id, "MSFT")) == ["AAPL", "BTC/USD"]
    assert symbols(client.remove_asset_from_watchlist_by_id(watchlist.id, "BTC/USD")) == ["AAPL"]
    account = client.get_account()
    [shown] = client.get_watchlists()
    assert isinstance(shown, Watchlist)
    assert (shown.id, shown.name, shown.assets) == (watchlist.id, "mine", None)
    assert str(shown.account_id) == str(account.id)  # type: ignore[union-attr]


def test_a_watchlist_can_be_renamed_and_filled_anew(client: TradingClient, watchlist: Watchlist) -> None:
    renamed = client.update_watchlist_by_id(watchlist.id, UpdateWatchlistRequest(name="yours"))
    assert isinstance(renamed, Watchlist)
    assert (renamed.name, symbols(renamed)) == ("yours", ["MSFT", "AAPL"])
    filled = client.update_watchlist_by_id(watchlist.id, UpdateWatchlistRequest(symbols=["TSLA"]))
    assert isinstance(filled, Watchlist)
    assert (filled.name, symbols(filled)) == ("yours", ["TSLA"])
    assert filled.updated_at > filled.created_at


def test_a_watchlist_is_known_by_its_name_too(client: TradingClient, watchlist: Watchlist) -> None:
    assert client.get("/watchlists:by_name", {"name": "mine"})["id"] == str(watchlist.id)
    client.delete("/watchlists:by_name", {"name": "mine"})
    assert client.get_watchlists() == []


def test_watchlists_that_cannot_be_are_refused(client: TradingClient, watchlist: Watchlist) -> None:
    def create(name: str, *listed: str) -> Callable[[], Any]:
        return lambda: client.create_watchlist(CreateWatchlistRequest(name=name, symbols=list(listed)))

    assert refusal(create("mine")) == (422, 40010001, "watchlist name must be unique")
    assert refusal(create("other", "ZZZZQX")) == (404, 40410000, "asset not found for ZZZZQX")
    assert refusal(create("other", "AAPL", "AAPL")) == (422, 40010001, "duplicate symbol AAPL")
    assert refusal(lambda: client.get_watchlist_by_id(uuid4())) == (404, 40410000, "watchlist not found")
    gone = refusal(lambda: client.remove_asset_from_watchlist_by_id(watchlist.id, "TSLA"))
    assert gone == (404, 40410000, "asset not found for TSLA")
    assert refusal(lambda: client.post("/watchlists", {"symbols": ["AAPL"]}))[:2] == (422, 40010001)
    assert refusal(lambda: client.get("/watchlists/17"))[:2] == (422, 40010001)
    assert refusal(lambda: client.post(f"/watchlists/{watchlist.id}", {}))[:2] == (422, 40010001)
    assert len(client.get_watchlists()) == 1


def test_nothing_is_announced(client: TradingClient) -> None:
    request = GetCorporateAnnouncementsRequest(
        ca_types=[CorporateActionType.DIVIDEND, CorporateActionType.SPLIT],
        since=date(2026, 1, 1),
        until=date(2026, 4, 1),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        assert client.get_corporate_announcements(request) == []
    status, code, _ = refusal(lambda: client.get_corporate_announcement_by_id(uuid4()))
    assert (status, code) == (404, 40410000)


@pytest.mark.parametrize(
    "change",
    [
        {"ca_types": ""},
        {"ca_types": "lottery"},
        {"since": ""},
        {"until": "soon"},
        {"until": "2026-04-02"},
        {"until": "2025-12-31"},
        {"date_type": "birthday"},
    ],
    ids=str,
)
def test_announcements_that_cannot_be_are_refused(client: TradingClient, change: dict[str, str]) -> None:
    query = {"ca_types": "Dividend", "since": "2026-01-01", "until": "2026-04-01"} | change
    found = refusal(lambda: client.get("/corporate_actions/announcements", query))
    assert found[:2] == (422, 40010001)


def test_there_are_no_options(client: TradingClient) -> None:
    found = client.get_option_contracts(GetOptionContractsRequest(underlying_symbols=["AAPL"], limit=10))
    assert isinstance(found, OptionContractsResponse)
    assert (found.option_contracts, found.next_page_token) == ([], None)
    words = f"option contract {CONTRACT} not found; options are not traded here"
    assert refusal(lambda: client.get_option_contract(CONTRACT)) == (404, 40410000, words)
    status, code, message = refusal(lambda: client.exercise_options_position(CONTRACT))
    assert (status, code) == (403, 40310000)
    assert message.endswith("options are not traded here")
    assert refusal(lambda: client.exercise_options_position("APPLES")) == (422, 42210000, "invalid symbol")
    for query in ({"limit": "10001"}, {"type": "both"}, {"strike_price_gte": "-1"}, {"expiration_date": "x"}):
        assert refusal(lambda query=query: client.get("/options/contracts", query))[:2] == (422, 40010001)
