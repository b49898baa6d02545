"""When history is asked about a feed that says nothing, and what the answer means."""

import pytest

from ingest.silence.unheard import Question, Unheard, Verdict

FIRST, LONGEST, GRACE = 30, 300, 10


class Day:
    """One feed over time, looked at each second."""

    def __init__(self, *, is_always: bool = False) -> None:
        self.unheard = Unheard(1000, is_always=is_always, first_ns=FIRST, longest_ns=LONGEST, grace_ns=GRACE)
        self.now = 1000
        self.connection, self.is_carried, self.is_doubted, self.heard = 1, True, False, 0

    def until(self, then: int) -> dict[int, Question]:
        """The questions until then, by when they are asked."""
        found = {}
        while self.now < then:
            question = self.unheard.question(
                self.now,
                connection=self.connection,
                is_carried=self.is_carried,
                is_doubted=self.is_doubted,
                heard_ns=self.heard,
            )
            if question is not None:
                found[self.now] = question
            self.now += 1
        return found

    def reconnect(self) -> None:
        self.connection += 1
        self.is_doubted = True


def test_a_connection_that_was_not_mute_is_not_asked_about() -> None:
    assert Day().until(5000) == {}


def test_one_made_after_a_silence_is_asked_about_ever_more_seldom_until_something_comes() -> None:
    day = Day()
    day.heard = 1500
    day.until(2000)
    day.reconnect()
    questions = day.until(3500)
    assert list(questions) == [2030, 2090, 2210, 2450, 2750, 3050, 3350]
    assert questions[2030] == Question(1500 + GRACE, 2000 + GRACE, 2030 - GRACE)
    assert questions[3350] == Question(1500 + GRACE, 2000 + GRACE, 3350 - GRACE)
    day.heard = 3400
    assert day.until(6000) == {}
    # The next silence begins with the first wait again.
    day.reconnect()
    assert list(day.until(6100)) == [6030, 6090]


def test_waits_go_on_growing_while_one_connection_after_the_other_is_mute() -> None:
    day = Day()
    day.reconnect()
    assert list(day.until(1040)) == [1030]
    day.reconnect()
    assert list(day.until(1150)) == [1100]
    day.reconnect()
    assert list(day.until(1400)) == [1270]


def test_what_is_not_carried_yet_has_nothing_to_tell() -> None:
    day = Day()
    day.reconnect()
    day.is_carried = False
    assert day.until(1100) == {}
    day.is_carried = True
    assert day.until(1131) == {1130: Question(1000 + GRACE, 1100 + GRACE, 1130 - GRACE)}


def test_what_may_be_quiet_for_hours_is_asked_about_whenever_nothing_came() -> None:
    day = Day(is_always=True)
    day.heard = 1020
    assert list(day.until(1200)) == [1050, 1110]
    day.heard = 1195
    assert list(day.until(1230)) == [1225]


def test_a_question_of_less_time_than_the_two_may_differ_by_is_none() -> None:
    unheard = Unheard(0, is_always=True, first_ns=10, longest_ns=10, grace_ns=10)
    asked = [
        now
        for now in range(1, 60)
        if unheard.question(now, connection=1, is_carried=True, is_doubted=False, heard_ns=0)
    ]
    assert asked[:2] == [22, 32]


@pytest.mark.parametrize(
    ("since", "before", "lasted", "verdict"),
    [
        (True, False, 30, Verdict.MUTE),
        (True, True, 30, Verdict.MUTE),
        (False, False, 30, Verdict.QUIET),
        (False, True, 30, Verdict.UNKNOWN),
        (False, True, LONGEST - 1, Verdict.UNKNOWN),
        (False, True, LONGEST, Verdict.QUIET),
    ],
)
def test_mute_where_something_was_to_be_told_and_quiet_where_nothing_was_or_for_long(
    since: bool, before: bool, lasted: int, verdict: Verdict
) -> None:
    unheard = Unheard(0, is_always=True, first_ns=FIRST, longest_ns=LONGEST, grace_ns=GRACE)
    question = Question(50, 1000 + GRACE, 1000 + lasted - GRACE)
    assert unheard.verdict(question, is_told_since=since, is_told_before=before) is verdict
