"""States of an algorithm: what each may do, and which changes exist."""

import pytest

from algos.lifecycle import TRANSITIONS, State, moved


def test_only_a_leader_orders_and_is_given_market_data() -> None:
    assert [state for state in State if state.may_order] == [State.LEADER]
    assert [state for state in State if state.runs_handlers] == [State.LEADER]


def test_an_aborted_algorithm_may_take_its_orders_back() -> None:
    assert {state for state in State if state.may_cancel} == {State.LEADER, State.ABORTED}


@pytest.mark.parametrize("previous", list(State))
@pytest.mark.parametrize("following", list(State))
def test_changes_that_do_not_exist_are_refused(previous: State, following: State) -> None:
    if following in TRANSITIONS[previous]:
        assert moved(previous, following) is following
    else:
        with pytest.raises(ValueError, match=f"in {previous} cannot become {following}"):
            moved(previous, following)


def test_nothing_leads_out_of_aborted_or_back_to_bootstrap() -> None:
    assert not TRANSITIONS[State.ABORTED]
    assert not any(State.BOOTSTRAP in following for following in TRANSITIONS.values())
