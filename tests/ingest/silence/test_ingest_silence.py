"""Silence by a driven clock: found within its bound, told by name, and never where the market is closed."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.silence.flow import log_chance_of_silence
from ingest.silence.silence import FIRST_PATIENCE, LONGEST_WAIT, Silence, expected_streams

PATIENCE = 10
BUSY, SLOW, OTHER = "md:AAPL:trades", "md:XYZ:trades", "md:MSFT:quotes"
EXPECTED = frozenset({BUSY, SLOW})


class Feed:
    """Drives a watch a second at a time."""

    def __init__(self, hours: str = "regular", expected: frozenset[str] = EXPECTED) -> None:
        self.silence = Silence(PATIENCE)
        self.hours = hours
        self.expected = expected
        self.connection = 1
        self.alarms: list[int] = []
        self.second = 0

    def pass_(self, *seen: str, came: bool | None = None) -> bool:
        """A second in which these streams were heard of; True where the whole was found silent."""
        suspicion = self.silence.tick(
            hours=self.hours,
            connection=self.connection,
            expected=self.expected,
            came=bool(seen) if came is None else came,
            seen=frozenset(seen),
        )
        self.second += 1
        self.silence.name(suspicion.streams)
        if suspicion.whole:
            self.silence.alarm()
            self.alarms.append(self.second)
            self.connection += 1
        return suspicion.whole

    def flow(self, seconds: int, *seen: str) -> None:
        for _ in range(seconds):
            assert not self.pass_(*seen)

    def until_alarm(self, at_most: int = 100_000) -> int:
        """Seconds of silence until it is found."""
        return next(second for second in range(1, at_most) if self.pass_())


@pytest.mark.parametrize("learned", [20, 60, 90, 3600])
def test_a_mute_feed_that_sent_every_second_is_found_at_its_patience(learned: int) -> None:
    feed = Feed()
    feed.flow(learned, BUSY)
    assert feed.until_alarm() == PATIENCE
    assert feed.silence.is_silent
    feed.pass_(BUSY)
    assert not feed.silence.is_silent


@pytest.mark.parametrize(
    ("every", "soonest", "latest"), [(2, 20, 30), (10, 100, 200), (60, 600, 3600), (150, 1500, 7200)]
)
def test_what_comes_rarely_is_waited_for_in_proportion(every: int, soonest: int, latest: int) -> None:
    feed = Feed()
    for second in range(3600):
        assert not (feed.pass_(SLOW) if second % every == 0 else feed.pass_())
    assert soonest <= feed.until_alarm() <= latest


def test_a_feed_that_stays_silent_is_waited_for_twice_as_long_each_time() -> None:
    feed = Feed()
    feed.flow(300, BUSY)
    began = feed.second
    for _ in range(10_000):
        feed.pass_()
    waits = [second - before for before, second in zip([began, *feed.alarms], feed.alarms, strict=False)]
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, LONGEST_WAIT]
    # One message each time is no flow; a minute of them is.
    feed.flow(3, BUSY)
    assert feed.until_alarm() > 3000
    feed.flow(60, BUSY)
    assert feed.until_alarm() == PATIENCE


@pytest.mark.parametrize("hours", ["regular", "always"])
def test_a_feed_of_which_nothing_was_ever_heard_gets_longer(hours: str) -> None:
    assert Feed(hours).until_alarm() == FIRST_PATIENCE * PATIENCE


@pytest.mark.parametrize("hours", ["closed", "pre_market", "after_hours", "overnight"])
def test_nothing_is_expected_where_nothing_was_heard_outside_the_regular_session(hours: str) -> None:
    Feed(hours).flow(20_000)


def test_a_closed_market_expects_nothing_of_what_was_busy_before() -> None:
    feed = Feed()
    feed.flow(3600, BUSY)
    feed.hours = "closed"
    feed.flow(50_000)


def test_a_session_is_not_measured_by_the_one_before() -> None:
    feed = Feed()
    feed.flow(3600, BUSY, SLOW)
    feed.hours = "after_hours"
    feed.flow(20)
    for second in range(3600):
        assert not (feed.pass_(SLOW) if second % 60 == 0 else feed.pass_())
    assert not feed.silence.streams


def test_one_stream_that_is_silent_while_others_flow_is_named_and_costs_no_connection() -> None:
    feed = Feed()
    feed.flow(300, BUSY, SLOW)
    feed.flow(120, BUSY)
    assert feed.silence.streams == {SLOW}
    feed.flow(3600, BUSY)
    assert feed.silence.streams == {SLOW}
    feed.pass_(SLOW)
    assert not feed.silence.streams


def test_a_stream_is_not_silent_for_the_time_in_which_the_whole_was() -> None:
    feed = Feed()
    feed.flow(300, BUSY, SLOW)
    for _ in range(355):
        feed.pass_()
    feed.flow(5, BUSY)
    assert feed.second % 60 == 0, "a minute is over, and streams are looked at"
    assert not feed.silence.streams
    feed.flow(60, BUSY)
    assert feed.silence.streams == {SLOW}


def test_what_is_excused_is_expected_again_once_it_speaks() -> None:
    feed = Feed(expected=frozenset({BUSY}))
    feed.flow(300, BUSY)
    assert feed.silence.excuse({BUSY})
    assert not feed.silence.excuse({BUSY})
    feed.flow(10_000)
    feed.pass_(BUSY)
    feed.flow(300, BUSY)
    assert feed.until_alarm() == PATIENCE


def test_a_halted_symbol_does_not_hide_that_the_others_fell_silent() -> None:
    feed = Feed(expected=frozenset({BUSY, OTHER}))
    feed.flow(300, BUSY, OTHER)
    feed.silence.excuse({BUSY})
    feed.flow(300, OTHER)
    assert feed.until_alarm() == PATIENCE


def test_where_the_busy_ones_are_wanted_no_more_the_rest_is_measured_by_itself() -> None:
    feed = Feed()
    for second in range(1800):
        assert not (feed.pass_(BUSY, SLOW) if second % 10 == 0 else feed.pass_(BUSY))
    feed.expected = frozenset({SLOW})
    for second in range(1, 1800):
        assert not (feed.pass_(SLOW) if second % 10 == 0 else feed.pass_())
    assert 100 <= feed.until_alarm() <= 200


def test_in_the_first_minute_too() -> None:
    feed = Feed()
    feed.flow(20, BUSY)
    feed.expected = frozenset({SLOW})
    assert feed.until_alarm() == FIRST_PATIENCE * PATIENCE


def test_a_market_that_calms_down_after_a_burst_is_not_silent() -> None:
    feed = Feed()
    chance = random.Random(4)
    for busy in (0.05, 1.0, 0.05):
        for _ in range(900):
            assert not (feed.pass_(SLOW) if chance.random() < busy else feed.pass_())


def test_bars_that_all_come_at_once_are_one_expectation_and_not_many() -> None:
    bars = frozenset(f"md:S{n}:bars" for n in range(100))
    feed = Feed(expected=bars)
    for second in range(3600):
        assert not (feed.pass_(*bars) if second % 60 == 0 else feed.pass_())


@pytest.mark.parametrize("channel", ["dailyBars", "updatedBars", "statuses", "lulds"])
def test_a_subscription_to_what_rarely_comes_is_never_stale(channel: str) -> None:
    assert not expected_streams({channel: frozenset({"AAPL"})})


def test_what_is_expected_is_named_by_its_streams() -> None:
    subscription = {"trades": frozenset({"AAPL"}), "bars": frozenset({"*"}), "statuses": frozenset({"KO"})}
    assert expected_streams(subscription) == {"md:AAPL:trades", "md:*:bars"}


def test_what_was_learned_holds_through_a_time_without_a_subscription() -> None:
    feed = Feed()
    feed.flow(300, BUSY, SLOW)
    feed.expected = frozenset()
    feed.flow(30)
    feed.expected = EXPECTED
    feed.connection += 1
    assert feed.until_alarm() == PATIENCE


def test_what_is_refused_is_not_expected() -> None:
    wanted = {"trades": frozenset({"AAPL", "KO"})}
    assert expected_streams(wanted, {("trades", "KO")}) == {"md:AAPL:trades"}


def test_nothing_is_alarmed_while_nothing_is_subscribed() -> None:
    feed = Feed()
    feed.flow(300, BUSY)
    feed.expected = frozenset()
    feed.flow(10_000)


def test_a_silence_is_found_though_wants_come_and_go_in_it() -> None:
    feed = Feed(expected=frozenset({BUSY, SLOW, OTHER}))
    feed.flow(300, BUSY, SLOW)
    began = feed.second
    while not feed.alarms:
        feed.expected = frozenset({BUSY, (SLOW, OTHER)[feed.second // 3 % 2]})
        feed.pass_()
    assert feed.alarms == [began + PATIENCE]


def test_false_alarms_of_steady_chance_are_rarer_than_promised() -> None:
    # Thirty thousand seconds at each of these rates; one in a million is promised.
    for share in (0.02, 0.1, 0.5):
        feed = Feed(expected=frozenset({BUSY}))
        chance = random.Random(7)
        for _ in range(30_000):
            feed.pass_(BUSY) if chance.random() < share else feed.pass_()
        assert not feed.alarms


@pytest.mark.property
@given(empty=st.integers(0, 1800), present=st.integers(0, 1800), run=st.integers(1, 5000))
def test_a_longer_silence_is_rarer_and_a_busier_stream_makes_it_rarer_still(
    empty: int, present: int, run: int
) -> None:
    slices = empty + present
    chance = log_chance_of_silence(empty, slices, run)
    assert chance < 0
    assert log_chance_of_silence(empty, slices, run + 1) < chance
    assert log_chance_of_silence(empty, slices + 1, run) < chance
    # By the rule of succession, one slice at a time.
    steps = sum(math.log((empty + 1 + n) / (slices + 2 + n)) for n in range(run))
    assert math.isclose(chance, steps, rel_tol=1e-6, abs_tol=1e-6)


@pytest.mark.property
@settings(max_examples=60)
@given(st.data())
def test_it_is_never_alarmed_sooner_than_its_patience_and_never_while_closed(data: st.DataObject) -> None:
    feed = Feed()
    quiet, wait = 0, PATIENCE
    for _ in range(data.draw(st.integers(1, 40))):
        feed.hours = data.draw(st.sampled_from(["regular", "closed", "after_hours"]))
        feed.expected = data.draw(st.sampled_from([EXPECTED, frozenset({SLOW}), frozenset()]))
        seen = data.draw(st.sampled_from([(), (), (BUSY,), (SLOW,), (BUSY, SLOW)]))
        for _ in range(data.draw(st.integers(1, 90))):
            quiet = 0 if seen else quiet + 1
            if feed.pass_(*seen):
                assert quiet >= wait
                assert feed.hours != "closed"
                assert feed.expected
                quiet = 0
        assert feed.silence.streams <= feed.expected
