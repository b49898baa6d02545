"""The limits in force: what the file says and what was set while running, folded from events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from risk_day import LIMITS

from bus.limit_messages import LimitChange, LimitsChanged, LimitsSet, RefusedInShadow
from bus.order_messages import Reason
from oms.limits.limit_places import checked_section, flat, place_text, shaped
from oms.limits.limit_strictness import absent, is_looser, tightest_value
from oms.limits.limits import parse
from oms.limits.limits_in_force import LimitsInForce

VALUE = ("account", "order_value")


def file_read(force: LimitsInForce, more: str = "", **changes: object) -> None:
    """The file is read, with other numbers of the account and more sections."""
    text = LIMITS
    for name, value in changes.items():
        lines = [f"{name} = {value}" if one.startswith(f"{name} =") else one for one in text.splitlines()]
        text = "\n".join(lines)
    shown = parse(f"{text}\n{more}", "limits").as_dict()
    force.read(
        LimitsChanged(limits_version=force.version + 1, limits=shown, source="limits.toml", by="ann", at_ns=1)
    )


def set_to(force: LimitsInForce, value: Any, place: tuple[str, str] = VALUE, mode: str = "set") -> None:
    """A limit is set, as the OMS journals it."""
    change = LimitChange(
        section=place[0],
        name=place[1],
        mode=mode,  # type: ignore[arg-type]
        before=force.values().get(place),
        value=value,
        in_file=force.file.get(place),
    )
    force.set(
        LimitsSet(
            entry_id="1-0",
            limits_version=force.version + 1,
            changes=(change,),
            source="",
            reason="the news",
            by="ann",
            at_ns=1_700_000_000_000_000_000,
        )
    )


@pytest.mark.parametrize(
    ("name", "before", "after", "without", "looser"),
    [
        ("order_value", "100", "99", None, False),
        ("order_value", "100", "100", None, False),
        ("order_value", "100", "101", None, True),
        ("order_value", "100", "1E+2", None, False),
        ("order_value", None, "100", None, False),
        ("order_value", "100", None, None, True),
        # What stands in place of the account's number.
        ("price_age_seconds", None, "90", "5", True),
        ("price_age_seconds", None, "4", "5", False),
        ("price_age_seconds", "4", None, "5", True),
        ("price_age_seconds", "90", None, "5", False),
        # A default holds where nothing is set, and only there.
        ("repeated_orders", None, "10", "10", False),
        ("repeated_orders", None, "11", "10", True),
        ("repeated_orders", "20", None, "10", True),
        # Longer is tighter.
        ("repeated_seconds", "60", "61", "60", False),
        ("repeated_seconds", "60", "59", "60", True),
        ("duplicate_seconds", "2", "0", None, True),
        ("short_sales", None, False, None, False),
        ("short_sales", False, None, None, True),
        ("short_sales", False, True, None, True),
        ("short_sales", True, None, None, False),
        ("orders_while_closed", None, True, None, True),
        ("orders_while_closed", True, None, None, False),
        ("orders_while_closed", False, None, None, True),
        ("restricted", ["GME"], ["AMC", "GME"], None, False),
        ("restricted", ["AMC", "GME"], ["GME"], None, True),
        ("restricted", ["GME"], None, None, True),
        ("symbols", None, ["AAPL"], None, False),
        ("symbols", ["AAPL"], ["AAPL", "MSFT"], None, True),
        ("symbols", ["AAPL", "MSFT"], ["AAPL"], None, False),
        ("symbols", ["AAPL"], None, None, True),
        ("on_silence", "halt", "cancel", "nothing", False),
        ("on_silence", "halt", "nothing", "nothing", True),
        ("on_silence", None, "nothing", "halt", True),
        ("on_silence", None, "halt", "halt", False),
        ("responsible_person", "Ann", "Bob", None, False),
        ("responsible_person", "Ann", None, None, True),
    ],
)
def test_what_is_looser(name: str, before: Any, after: Any, without: Any, looser: bool) -> None:
    assert is_looser(name, before, after, without) is looser


@pytest.mark.parametrize(
    ("in_file", "was_set", "in_next_file", "held", "differs"),
    [
        # The file says what it said then: what was set holds, looser or tighter.
        ("50000", "20000", "50000", "20000", False),
        ("50000", "90000", "50000", "90000", False),
        # It says something else since: the tighter holds.
        ("50000", "20000", "30000", "20000", True),
        ("50000", "20000", "10000", "10000", True),
        ("50000", "90000", "60000", "60000", True),
        ("50000", "90000", "95000", "90000", True),
        # It says what was set: the file has taken it over.
        ("50000", "20000", "20000", "20000", False),
    ],
)
def test_the_file_against_what_was_set(
    in_file: str, was_set: str, in_next_file: str, held: str, differs: bool
) -> None:
    force = LimitsInForce()
    file_read(force, order_value=in_file)
    set_to(force, was_set)
    assert force.values()[VALUE] == was_set
    file_read(force, order_value=in_next_file)
    assert force.limits is not None
    assert force.values()[VALUE] == held == str(force.limits.account.order_value)
    told = force.differing()
    assert bool(told) is differs
    if differs:
        assert told == [
            f"[account] order_value: the file says {in_next_file}, it said {in_file} when this was set: "
            f"{was_set} by ann at 2023-11-14 22:13:20 UTC: the news; the tighter holds, {held}"
        ]
    # The next change of the file finds the same rule; one back to what it said has what was set hold again.
    file_read(force, order_value=in_file)
    assert force.values()[VALUE] == (in_file if was_set == in_next_file else was_set)


def test_a_limit_that_was_taken_away_is_back_where_the_file_changes() -> None:
    force, gross = LimitsInForce(), ("algorithm.alpha", "gross_exposure")
    text = "[algorithm.alpha]\ngross_exposure = 1000\n"
    file_read(force, text)
    set_to(force, None, gross)
    assert gross not in force.values()
    file_read(force, text.replace("1000", "2000"))
    assert force.values()[gross] == "2000"
    file_read(force)
    assert gross not in force.values()
    assert not force.set_here


def test_what_was_taken_back_leaves_the_file() -> None:
    force = LimitsInForce()
    file_read(force)
    set_to(force, "1")
    set_to(force, "50000", mode="taken_back")
    assert force.values() == force.file
    assert not force.set_here


def test_a_limit_in_shadow_is_not_in_force_and_counts() -> None:
    force = LimitsInForce()
    file_read(force)
    set_to(force, "1", mode="shadow")
    assert force.values() == force.file
    assert force.with_shadows is not None
    assert force.with_shadows.account.order_value == 1
    told = RefusedInShadow(
        section="account", name="order_value", whose="alpha", orders=3, first_order_id="a", last_order_id="b",
        reason=Reason(code="order_value", message="m"), since_ns=1, at_ns=2,
    )  # fmt: skip
    force.refused_in_shadow(told)
    force.refused_in_shadow(told)
    assert force.shadows[VALUE].refused == {"alpha": 6}
    # The same place, set: what ran in shadow is over.
    set_to(force, "2")
    assert (force.shadows, force.with_shadows) == ({}, None)


def test_only_what_refuses_more_is_stricter() -> None:
    force = LimitsInForce()
    file_read(force)
    assert force.stricter == 1
    set_to(force, "60000")
    assert force.stricter == 1
    set_to(force, "55000")
    assert force.stricter == 3
    set_to(force, "1", mode="shadow")
    assert force.stricter == 3


@pytest.mark.parametrize("section", ["account", "each_algorithm", "algorithm.a", "symbol.BRK.B", "feed.iex"])
def test_a_section_is_written_as_in_the_file(section: str) -> None:
    place = checked_section(section), "order_value"
    assert flat(shaped({place: "1"})) == {place: "1"}
    assert place_text(place).replace('"', "") == f"[{section}] order_value"


NUMBERS = st.sampled_from(["1", "2", "3", "5", "8"])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["file", "set", "taken_back", "shadow", "shadow_ended"]),
        st.sampled_from([VALUE, ("algorithm.alpha", "gross_exposure"), ("algorithm.alpha", "restricted")]),
        NUMBERS,
    ),
    max_size=12,
)


def plain(place: tuple[str, str], number: str) -> Any:
    """A value that may stand there."""
    return sorted({f"S{number}", "GME"}) if place[1] == "restricted" else number


@given(STEPS)
def test_what_holds_is_the_fold_and_never_looser_than_the_tighter(steps: list[tuple[str, Any, str]]) -> None:
    """A model of one line: the file's and what was set, the tighter of them where the file has changed."""
    force = LimitsInForce()
    in_file: dict[Any, Any] = {}
    events: list[Any] = []

    def journalled(event: Any) -> None:
        events.append(event)
        (force.read if isinstance(event, LimitsChanged) else force.set)(event)

    file_read(force)
    events.append(LimitsChanged(limits_version=1, limits=shaped(force.file), source="f", by="ann", at_ns=1))
    in_file = dict(force.file)
    was_set: dict[Any, tuple[Any, Any]] = {}
    for kind, place, number in steps:
        version = force.version + 1
        if kind == "file":
            in_file[place] = plain(place, number)
            journalled(
                LimitsChanged(limits_version=version, limits=shaped(in_file), source="f", by="b", at_ns=1)
            )
            was_set = {one: had for one, had in was_set.items() if had[0] != in_file.get(one)}
            continue
        value = in_file.get(place) if kind == "taken_back" else plain(place, number)
        change = LimitChange(
            section=place[0], name=place[1], mode=kind, before=None, value=value,  # type: ignore[arg-type]
            in_file=in_file.get(place),
        )  # fmt: skip
        journalled(
            LimitsSet(
                entry_id="", limits_version=version, changes=(change,), source="", reason="r", by="b", at_ns=1
            )
        )
        if kind in ("set", "taken_back"):
            was_set.pop(place, None)
            if value != in_file.get(place):
                was_set[place] = value, in_file.get(place)
    expected = dict(in_file)
    for place, (value, then) in was_set.items():
        now = in_file.get(place)
        expected[place] = value if now == then else tightest_value(place[1], value, now)
        assert not is_looser(place[1], now, expected[place], absent(place, in_file)) or now == then
    assert force.values() == expected
    assert force.limits is not None
    assert flat(force.limits.as_dict()) == expected
    again = LimitsInForce()
    for event in events:
        (again.read if isinstance(event, LimitsChanged) else again.set)(event)
    assert (again.limits, again.comparable()) == (force.limits, force.comparable())
