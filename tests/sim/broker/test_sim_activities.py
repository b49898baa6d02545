"""Activities: one for each fill, named by New York's clock, in pages that lose and repeat nothing."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.broker.activities import OTHER_TYPES, TRADE_TYPES, Activities, Wanted
from sim.broker.ledger import Fill
from sim.broker.updates import Update
from sim.refusals import Refused
from sim.times import SECOND_NS, parse_ns

AT_NS = parse_ns("2026-10-08T15:10:18.097464928Z")


def update(number: int, at_ns: int = AT_NS, **order: Any) -> Update:
    shown = {"status": "filled", "qty": "3", "filled_qty": "3"} | order
    fill = Fill(f"execution-{number}", "order", "KO", "buy", Decimal(3), Decimal("86.878"), at_ns)
    return Update("fill", fill.id, at_ns, shown, fill, Decimal(3))


def told(number: int) -> Update:
    return Update("new", f"execution-{number}", AT_NS, {"status": "new"})


def wanted(**fields: Any) -> Wanted:
    usual: dict[str, Any] = {
        "types": frozenset(TRADE_TYPES), "after_ns": None, "until_ns": None, "is_ascending": True,
        "page_size": 100, "page_token": None,
    }  # fmt: skip
    return Wanted(**(usual | fields))


def test_an_activity_has_every_key_of_a_recorded_one() -> None:
    [activity] = Activities([told(1), update(2)]).select(wanted())
    assert activity.body == {
        "activity_type": "FILL",
        "id": "20261008111018097::execution-2",
        "order_id": "order",
        "order_status": "filled",
        "type": "fill",
        "symbol": "KO",
        "side": "buy",
        "price": "86.878",
        "qty": "3",
        "cum_qty": "3",
        "leaves_qty": "0",
        "transaction_time": "2026-10-08T15:10:18.097465Z",
    }


def test_a_part_says_what_is_left() -> None:
    [activity] = Activities([update(1, status="partially_filled", qty="5")]).select(wanted())
    body = activity.body
    assert (body["type"], body["order_status"]) == ("partial_fill", "partially_filled")
    assert (body["cum_qty"], body["leaves_qty"]) == ("3", "2")


def test_an_order_by_value_leaves_nothing() -> None:
    [activity] = Activities([update(1, qty=None)]).select(wanted())
    assert activity.body["leaves_qty"] == "0"


def test_names_follow_new_york_through_the_year() -> None:
    winter, summer = parse_ns("2026-01-05T15:00:00Z"), parse_ns("2026-07-06T15:00:00Z")
    found = Activities([update(1, winter), update(2, summer)]).select(wanted())
    assert [activity.id for activity in found] == [
        "20260105100000000::execution-1", "20260706110000000::execution-2",
    ]  # fmt: skip


def test_both_ends_are_exclusive() -> None:
    activities = Activities([update(n, AT_NS + n * SECOND_NS) for n in range(5)])
    found = activities.select(wanted(after_ns=AT_NS, until_ns=AT_NS + 3 * SECOND_NS))
    assert [activity.body["id"][-1] for activity in found] == ["1", "2"]


def test_what_is_no_trade_did_not_happen() -> None:
    assert Activities([update(1)]).select(wanted(types=frozenset(OTHER_TYPES))) == []


def test_a_token_that_is_no_activity_is_refused() -> None:
    with pytest.raises(Refused) as error:
        Activities([update(1)]).select(wanted(page_token="20261008111018097::somebody's"))
    assert (error.value.status, error.value.body["code"]) == (422, 40010001)


@given(
    count=st.integers(0, 30),
    page_size=st.integers(1, 7),
    is_ascending=st.booleans(),
    bounds=st.tuples(st.integers(-1, 31), st.integers(-1, 31)),
)
def test_pages_hold_everything_once_and_in_order(
    count: int, page_size: int, is_ascending: bool, bounds: tuple[int, int]
) -> None:
    history = [one for n in range(count) for one in (told(n), update(n, AT_NS + n * SECOND_NS))]
    activities = Activities(history)
    after_ns, until_ns = (AT_NS + bound * SECOND_NS for bound in bounds)
    found: list[str] = []
    while True:
        page = activities.select(
            wanted(
                after_ns=after_ns,
                until_ns=until_ns,
                is_ascending=is_ascending,
                page_size=page_size,
                page_token=found[-1] if found else None,
            )
        )
        assert len(page) <= page_size
        found += [activity.id for activity in page]
        if len(page) < page_size:
            break
    within = [n for n in range(count) if bounds[0] < n < bounds[1]]
    assert [int(name.split("-")[-1]) for name in found] == (within if is_ascending else within[::-1])


def test_what_happens_between_two_pages_does_not_move_the_second() -> None:
    history = [update(n, AT_NS + n * SECOND_NS) for n in range(4)]
    activities = Activities(history)
    first = activities.select(wanted(is_ascending=False, page_size=2))
    history.append(update(4, AT_NS + 4 * SECOND_NS))
    second = activities.select(wanted(is_ascending=False, page_token=first[-1].id))
    assert [activity.id[-1] for activity in first + second] == ["3", "2", "1", "0"]
