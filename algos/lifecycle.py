"""The four states of an algorithm's process: what each may do, and which change into which."""

from enum import StrEnum


class State(StrEnum):
    """Where an algorithm stands; only a leader trades."""

    BOOTSTRAP = "bootstrap"
    FOLLOWER = "follower"
    LEADER = "leader"
    ABORTED = "aborted"


# Nothing leads out of Aborted: the handler left its state half changed, so only a new process helps.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.BOOTSTRAP: frozenset({State.FOLLOWER, State.LEADER, State.ABORTED}),
    State.FOLLOWER: frozenset({State.LEADER, State.ABORTED}),
    State.LEADER: frozenset({State.FOLLOWER, State.ABORTED}),
    State.ABORTED: frozenset(),
}


def moved(previous: State, following: State) -> State:
    """The following state. Raises ValueError for a change that does not exist."""
    if following not in TRANSITIONS[previous]:
        known = ", ".join(sorted(TRANSITIONS[previous])) or "nothing"
        raise ValueError(f"an algorithm in {previous} cannot become {following}; it can become {known}")
    return following


def may_order(state: State) -> bool:
    """May new orders and replaces leave in this state?"""
    return state is State.LEADER


def may_cancel(state: State) -> bool:
    """May cancels leave in this state? An aborted algorithm takes its own orders back."""
    return state in (State.LEADER, State.ABORTED)


def runs_handlers(state: State) -> bool:
    """Are market data, order events and timers handed to the author's handlers in this state?"""
    return state is State.LEADER
