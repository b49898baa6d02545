"""The four states of an algorithm's process: what each may do, and which change into which."""

from enum import StrEnum


class State(StrEnum):
    """Where an algorithm stands; only a leader trades.

    `runs_handlers`: market data, order events and timers are given to the author's handlers. `may_order`: new
    orders and replaces leave. `may_cancel`: cancels leave; an aborted algorithm takes its own orders back.
    """

    # Attributes rather than functions: they are read for every message.
    runs_handlers: bool
    may_order: bool
    may_cancel: bool

    def __new__(cls, name: str, runs_handlers: bool, may_order: bool, may_cancel: bool) -> "State":
        """A state that reads as its name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.runs_handlers, member.may_order, member.may_cancel = runs_handlers, may_order, may_cancel
        return member

    BOOTSTRAP = "bootstrap", False, False, False
    FOLLOWER = "follower", False, False, False
    LEADER = "leader", True, True, True
    ABORTED = "aborted", False, False, True


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
