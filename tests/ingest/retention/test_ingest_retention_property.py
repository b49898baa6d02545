"""What is kept of market data, decided from measurements: over all that can be measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.entry_position import entry_position
from ingest.retention import retention
from ingest.retention.retention import ALIVE_MS, LEAST_KEPT_MS, TRIM_TO, Place, Policy, Span
from ingest.retention.retention_report import Losses, reasons

MB = 1024 * 1024
NOW_MS = 1_796_000_000_000
HOUR_MS = 3_600_000


def rule(**changes):
    return Policy(
        **{"budget_bytes": 80 * MB, "held_bytes": 90 * MB, "hours": 96, "quotes_hours": 24, **changes}
    )


ids = st.builds("{}-{}".format, st.integers(1, 50), st.integers(0, 3))
places = st.lists(
    st.builds(
        Place,
        st.sampled_from(["algo:paper:a", "algo:paper:b", "mine"]),
        ids,
        st.sampled_from([-1, 5, ALIVE_MS]),
    ),
    max_size=4,
)
readers = st.frozensets(st.sampled_from(["paper:a", "paper:b"]))


@given(cut=ids, places=places, alive=readers, sparing=st.booleans())
def test_nothing_is_cut_that_a_live_reader_has_yet_to_handle_until_readers_are_spared_no_more(
    cut, places, alive, sparing
):
    kept = retention.kept_from(cut, places, alive, sparing=sparing)
    assert entry_position(kept) <= entry_position(cut)
    living = [place for place in places if place.reader in alive or 0 <= place.idle_ms < ALIVE_MS]
    if sparing:
        assert all(entry_position(kept) <= entry_position(place.next_id) for place in living)
    # What is kept is kept for somebody.
    assert kept == cut or (sparing and kept in [place.next_id for place in living])


streams = st.lists(
    st.lists(st.integers(0, 100 * HOUR_MS), min_size=1, max_size=60).map(sorted), min_size=1, max_size=8
)


@given(streams=streams, base=st.integers(0, 20), budget=st.integers(1, 300), began=st.booleans())
def test_steps_lead_below_the_budget_or_to_what_is_too_new_and_never_back(streams, base, budget, began):
    """A server whose entries are a byte each, beside `base` bytes that are not of the market."""
    policy, cut_ms = rule(budget_bytes=budget, held_bytes=budget), 0
    newest = max(times[-1] for times in streams)
    for _ in range(5000):
        spans = [Span(times[0], times[-1], len(times)) for times in streams]
        used = base + sum(map(len, streams))
        further_ms = retention.budget_cut_ms(policy, used, spans, cut_ms, began=began)
        assert cut_ms <= further_ms <= max(cut_ms, newest - LEAST_KEPT_MS)
        if further_ms == cut_ms:
            break
        began, cut_ms = True, further_ms
        # The last entry of a stream always stays.
        streams = [[at for at in times if at >= min(cut_ms, times[-1])] for times in streams]
    else:
        pytest.fail("it does not come to an end")
    goal = budget * (TRIM_TO if began else 1)
    assert used <= goal or retention.is_spent(spans, cut_ms)


def test_a_step_takes_little_even_where_most_lies_in_a_short_time():
    """A day of silence, and then a minute in which everything came."""
    spans = [Span(NOW_MS - 24 * HOUR_MS, NOW_MS, 40)] + [Span(NOW_MS - 60_000, NOW_MS, 10_000)] * 20
    cut_ms = retention.budget_cut_ms(rule(), 81 * MB, spans, 0, began=False)
    taken = (cut_ms - (NOW_MS - 60_000)) / 60_000
    assert 0 < taken < 0.11


@pytest.mark.parametrize(("used_mb", "goes_on"), [(88, False), (91, True)])
def test_what_is_held_for_a_reader_takes_nobody_elses_history(used_mb, goes_on):
    """A tenth of all is held before the cut: some 9 MB of 88."""
    cut_ms = NOW_MS - 60_000
    spans = [Span(NOW_MS - 120_000, NOW_MS, 200), Span(cut_ms, NOW_MS, 800)]
    assert (retention.budget_cut_ms(rule(), used_mb * MB, spans, cut_ms, held=spans[:1]) > cut_ms) is goes_on
    assert retention.budget_cut_ms(rule(), used_mb * MB, spans, cut_ms) > cut_ms


@pytest.mark.parametrize(
    ("budget_mb", "maxmemory", "machine", "budget", "held"),
    [
        (None, 1000, 9000, 800, 900),
        (None, 0, 8000, 2000, 2250),
        (None, 0, 0, 0, 0),
        (1, 0, 0, MB, MB * 9 // 8),
        (1, 2 * MB, 0, MB, MB * 9 // 8),
        # Readers hold back up to 95 % of what the server may hold; a budget that is as high leaves nothing.
        (1, MB + MB // 10, 0, MB, round(0.95 * (MB + MB // 10))),
        (1, MB, 0, MB, MB),
    ],
)
def test_the_budget_follows_from_the_server_where_nobody_says(budget_mb, maxmemory, machine, budget, held):
    made = retention.policy(
        budget_mb=budget_mb,
        hours=5,
        quotes_hours=None,
        laggards="cut",
        maxmemory=maxmemory,
        machine_bytes=machine,
    )
    assert (made.budget_bytes, made.held_bytes, made.quotes_hours) == (budget, held, 5)


@pytest.mark.parametrize(
    ("laggards", "used", "spared"),
    [("cut", 90 * MB, True), ("cut", 90 * MB + 1, False), ("keep", 95 * MB, True)],
)
def test_readers_are_spared_up_to_the_bound(laggards, used, spared):
    assert retention.spares(rule(laggards=laggards), used) is spared
    assert retention.spares(rule(budget_bytes=0), used)


def test_entries_grow_too_old_by_channel():
    assert retention.time_cut_ms(rule(), "trades", NOW_MS) == NOW_MS - 96 * HOUR_MS
    assert retention.time_cut_ms(rule(), "quotes", NOW_MS) == NOW_MS - 24 * HOUR_MS
    assert retention.time_cut_ms(rule(), "orderbooks", NOW_MS) == NOW_MS - 24 * HOUR_MS


def test_streams_are_outdated_that_nobody_wants_and_in_which_all_is_too_old():
    old, young = Span(0, NOW_MS - 96 * HOUR_MS - 1, 3), Span(0, NOW_MS - 96 * HOUR_MS, 3)
    spans = {
        "md:AAPL:trades": old,
        "md:MSFT:trades": young,
        "md:SPY:trades": old,
        "md:BTC/USD:trades": old,
        "md-all:trades:03": old,
        "md-all:bars:03": old,
    }
    found = retention.outdated(rule(), spans, {("trades", "SPY"), ("bars", "*")}, NOW_MS)
    assert found == ["md:AAPL:trades", "md:BTC/USD:trades", "md-all:trades:03"]
    assert retention.outdated(rule(), spans, {("trades", "*"), ("bars", "*")}, NOW_MS) == []


def test_when_the_budget_is_full_is_said_from_how_it_fills():
    assert retention.full_in_s(rule(), [(0, 10 * MB), (60, 16 * MB)]) == 640
    assert retention.full_in_s(rule(), [(0, 16 * MB), (60, 10 * MB)]) is None
    assert retention.full_in_s(rule(), [(0, 16 * MB)]) is None
    assert retention.full_in_s(rule(), [(0, 70 * MB), (60, 79 * MB)]) == 0
    assert retention.full_in_s(rule(budget_bytes=0), [(0, 10 * MB), (60, 16 * MB)]) is None


def test_who_holds_the_trim_back_and_who_was_cut_is_said_by_name():
    losses = Losses()
    losses.add("paper:away", 7, None)
    losses.add("paper:slow", 1200, 100.0)
    held = {"paper:late": ("md:AAPL:quotes", "1796000000000-3")}
    found = reasons(rule(), 85 * MB, held, losses, 699.0, spent=True)
    assert [one.code for one in found] == ["reader_behind", "reader_cut", "market_data_over_budget"]
    assert "paper:late" in found[0].sentence
    assert "md:AAPL:quotes from 2026-11-30T00:53:20.000Z" in found[0].sentence
    assert "until the market-data server holds 90 MB (now 85 MB)" in found[0].sentence
    assert "paper:slow" in found[1].sentence
    assert "1,200 entries" in found[1].sentence
    assert reasons(rule(), 85 * MB, {}, losses, 700.0, spent=False) == ()
    (kept,) = reasons(rule(laggards="keep"), 85 * MB, held, losses, 700.0, spent=False)
    assert "however full" in kept.sentence
