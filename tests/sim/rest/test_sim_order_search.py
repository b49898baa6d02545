"""The orders that a query finds, flat and nested."""

from decimal import Decimal
from typing import Any

import pytest

from sim.broker.orders import Order, Ticket
from sim.exchange.assets import Assets
from sim.refusals import Refused
from sim.rest.order_search import order_id, search
from sim.times import SECOND_NS, parse_ns, rfc3339

ASSETS = Assets()
START_NS = parse_ns("2026-01-05T14:30:00Z")
NAMES = "abcdef"


def name(letter: str) -> str:
    """An order's id that can be told by its letter."""
    return f"{letter * 8}-0000-4000-8000-000000000000"


def order(letter: str, symbol: str = "AAPL", side: str = "buy", status: str = "new") -> Order:
    asset = ASSETS.find(symbol)
    assert asset is not None
    at_ns = START_NS + NAMES.index(letter) * SECOND_NS
    ticket = Ticket(letter, asset, side, "limit", "gtc", Decimal(1), limit_price=Decimal(1))
    return Order(name(letter), ticket, f"{side}_to_open", Decimal(1), at_ns, at_ns, status=status)


@pytest.fixture
def orders() -> dict[str, Order]:
    made = [
        order("a", status="filled"), order("b", "MSFT", "sell"), order("c", "BTC/USD"),
        order("d", status="filled"), order("e", side="sell"), order("f", side="sell", status="held"),
    ]  # fmt: skip
    parent, *legs = made[3:]
    parent.legs = legs
    for leg in legs:
        leg.parent = parent
    return {one.id: one for one in made}


def looked_up(orders: dict[str, Order], query: dict[str, str]) -> list[dict[str, Any]]:
    return search(orders, [one for one in orders.values() if one.is_open], query, ASSETS)


def found(orders: dict[str, Order], **query: str) -> str:
    return "".join(body["client_order_id"] for body in looked_up(orders, query))


@pytest.mark.parametrize(
    ("query", "letters"),
    [
        ({}, "fecb"),
        ({"direction": "asc"}, "bcef"),
        ({"status": "closed"}, "da"),
        ({"status": "all"}, "fedcba"),
        ({"status": "all", "limit": "2"}, "fe"),
        ({"side": "buy"}, "c"),
        ({"symbols": "AAPL,BTCUSD"}, "fec"),
        ({"symbols": "BTC/USD"}, "c"),
        ({"symbols": "ANONYMOUS"}, ""),
        ({"asset_class": "crypto"}, "c"),
        ({"asset_class": "us_equity,crypto"}, "fecb"),
        ({"asset_class": "us_option"}, ""),
        ({"asset_class": "all"}, "fecb"),
        ({"before_order_id": name("e")}, "cb"),
        ({"after_order_id": name("b"), "direction": "asc"}, "cef"),
        ({"before_order_id": name("d"), "nested": "true"}, "cb"),
        ({"after_order_id": name("e"), "nested": "true"}, ""),
        ({"after_order_id": name("a"), "status": "closed"}, "d"),
        ({"status": "all", "after": rfc3339(START_NS + SECOND_NS)}, "fedc"),
        ({"status": "all", "until": rfc3339(START_NS + SECOND_NS)}, "a"),
        ({"nested": "True"}, "dcb"),  # the entry is filled, but its exits are open
        ({"nested": "true", "status": "closed"}, "da"),
        ({"nested": "True", "side": "sell", "direction": "asc"}, "bd"),
        ({"nested": "False", "nobody": "knows"}, "fecb"),
    ],
    ids=str,
)
def test_orders_are_found(orders: dict[str, Order], query: dict[str, str], letters: str) -> None:
    assert found(orders, **query) == letters


def test_legs_stand_inside_their_parent_where_that_is_asked_for(orders: dict[str, Order]) -> None:
    nested = {body["client_order_id"]: body for body in looked_up(orders, {"nested": "true"})}
    assert [leg["client_order_id"] for leg in nested["d"]["legs"]] == ["e", "f"]
    assert [leg["legs"] for leg in nested["d"]["legs"]] == [None, None]
    assert nested["b"]["legs"] is None
    alone = looked_up(orders, {"status": "all"})
    assert [body["legs"] for body in alone] == [None] * 6


@pytest.mark.parametrize(
    "query",
    [
        {"status": "new"},
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "many"},
        {"direction": "up"},
        {"nested": "perhaps"},
        {"side": "hold"},
        {"asset_class": "art"},
        {"after": "yesterday"},
        {"before_order_id": "a"},
        {"before_order_id": name("a"), "after_order_id": name("b")},
        {"before_order_id": name("a"), "until": "2026-01-05"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(orders: dict[str, Order], query: dict[str, str]) -> None:
    with pytest.raises(Refused) as error:
        looked_up(orders, query)
    assert (error.value.status, error.value.body["code"]) == (422, 40010001)


def test_an_order_of_nobody_is_not_found(orders: dict[str, Order]) -> None:
    with pytest.raises(Refused) as error:
        looked_up(orders, {"before_order_id": "99999999-0000-4000-8000-000000000000"})
    assert error.value.status == 404


def test_an_id_has_one_form() -> None:
    assert order_id(name("a").upper()) == name("a")
    with pytest.raises(Refused, match="order_id is missing"):
        order_id("a")


def test_moments_are_about_when_an_order_was_sent(orders: dict[str, Order]) -> None:
    last = orders[name("f")]
    last.submitted_ns = START_NS + 3600 * SECOND_NS
    assert found(orders, status="all", after=rfc3339(last.created_ns)) == "f"
    assert found(orders, status="all", until=rfc3339(last.submitted_ns)) == "edcba"


def test_a_replaced_leg_is_listed_beside_the_group_that_it_has_left(orders: dict[str, Order]) -> None:
    parent, gone, _ = list(orders.values())[3:]
    gone.status = "replaced"
    parent.legs = parent.legs[1:]
    listed = looked_up(orders, {"status": "all", "nested": "true", "direction": "asc"})
    assert [body["client_order_id"] for body in listed] == list("abcde")
    assert [leg["client_order_id"] for leg in listed[3]["legs"]] == ["f"]
