"""Turns faults on and off: applies their effects, and ends them when their time is over."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from bus.errors import InvalidInput
from sim.clock import Clock
from sim.faults.faults import Active, Faults
from sim.faults.kinds import KINDS
from sim.times import SECOND_NS

Effect = Callable[[dict[str, Any]], None]


class Effects(NamedTuple):
    """What kinds of faults do when they begin, and what undoes it when they end; by the kind's name."""

    begun: dict[str, Effect]
    ended: dict[str, Effect]


class FaultSwitch:
    """The only writer of `faults`.

    `accounts` are the API keys, the first account's first. `effects` are those of all kinds that have any.
    """

    def __init__(
        self,
        faults: Faults,
        clock: Clock,
        accounts: Sequence[str],
        effects: Iterable[Effects],
    ) -> None:
        self.faults = faults
        self._clock = clock
        self._accounts = accounts
        self._begun: dict[str, Effect] = {}
        self._ended: dict[str, Effect] = {}
        for begun, ended in effects:
            self._begun |= begun
            self._ended |= ended

    def begin(self, fault: dict[str, Any]) -> dict[str, Any]:
        """Begin a parsed fault and return it. Raises InvalidInput where account or symbol are unknown."""
        name = fault["fault"]
        if fault.get("account") is not None:
            fault = fault | {"account": self._account(fault["account"])}
        effect = self._begun.get(name)
        if effect is not None:
            effect(fault)
            self.faults.struck[name] += 1
        if not KINDS[name].is_over_at_once and not _is_momentary(fault):
            self._stay(fault)
        return fault

    def begin_given(self, faults: Sequence[dict[str, Any]]) -> None:
        """Begin the faults of the command line. Raises InvalidInput naming the fault."""
        for fault in faults:
            try:
                self.begin(fault)
            except InvalidInput as error:
                raise InvalidInput(f"--fault: {error}") from error

    def end(self, name: str) -> None:
        """End all faults of a kind. Raises InvalidInput where there is no such kind."""
        if name not in KINDS:
            raise InvalidInput(f"fault is {name!r}; allowed: {', '.join(KINDS)}")
        for active in self.faults.active():
            if active.name == name:
                self._end(active)

    def end_all(self) -> None:
        """End every fault."""
        for active in self.faults.active():
            self._end(active)

    def _stay(self, fault: dict[str, Any]) -> None:
        seconds = fault.get("seconds")
        if seconds is None:
            self.faults.turn_on(fault)
            return
        ends_ns = self._clock.now_ns() + int(seconds * SECOND_NS)
        active = self.faults.turn_on(fault, ends_ns)
        self._clock.call_at(ends_ns, lambda: self._end(active))

    def _end(self, active: Active) -> None:
        if active in self.faults.active():
            self.faults.end(active)
            ending = self._ended.get(active.name)
            if ending is not None:
                ending(active.fault)

    def _account(self, named: str | int) -> str:
        if isinstance(named, int) and named <= len(self._accounts):
            return self._accounts[named - 1]
        if named not in self._accounts:
            many = len(self._accounts)
            raise InvalidInput(f"account is unknown; allowed: the API key of an account, or 1 to {many}")
        return str(named)


def _is_momentary(fault: dict[str, Any]) -> bool:
    """Return whether it is a cut without a duration, after which clients may reconnect at once."""
    return fault["fault"] in ("disconnect", "stale_session") and fault["seconds"] is None
