"""The halt state by scope: which scopes are halted or reduce-only, and what that means for an order. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from bus.control_messages import Halt, ReduceOnly
from bus.errors import InvalidInput
from bus.streams import checked_name
from bus.symbols import checked_symbol, spellings


class HaltState(msgspec.Struct, frozen=True):
    """Which scopes are halted or reduce-only, and by whom.

    `known` is False when the key is missing, was lost, or holds what cannot be read.
    """

    known: bool
    scopes: Mapping[str, Halt | ReduceOnly] = MappingProxyType({})

    def mode_for(self, account: str, algorithm: str, symbol: str) -> Halt | ReduceOnly | None:
        """The strictest that applies to an order of this algorithm in this symbol; None: trade."""
        symbols = [f"symbol:{spelling}" for spelling in spellings(symbol)]
        names = ("all", f"account:{account}", f"algorithm:{algorithm}", *symbols)
        found = [self.scopes[name] for name in names if name in self.scopes]
        return next((mode for mode in found if isinstance(mode, Halt)), found[0] if found else None)


def united(state: HaltState, others: Mapping[str, Halt | ReduceOnly]) -> HaltState:
    """The state with other halts in it: of each scope the stricter."""
    scopes = dict(state.scopes)
    for scope, mode in others.items():
        if scope not in scopes or (isinstance(mode, Halt) and not isinstance(scopes[scope], Halt)):
            scopes[scope] = mode
    return HaltState(state.known, MappingProxyType(scopes))


def latched_in(state: HaltState, scope: str) -> list[Halt]:
    """The halts in a scope that only a person who gives a name lifts; `all` has every one in it."""
    return [
        mode
        for name, mode in state.scopes.items()
        if isinstance(mode, Halt) and mode.latched and (scope == "all" or name in same_scopes(scope))
    ]


def covers(scope: str, account: str, algorithm: str, symbol: str) -> bool:
    """Whether an order of this algorithm in this symbol is in this scope."""
    symbols = [f"symbol:{spelling}" for spelling in spellings(symbol)]
    return scope in ("all", f"account:{account}", f"algorithm:{algorithm}", *symbols)


def concerns(scope: str, account: str, algorithm: str) -> bool:
    """Whether a control message of this scope is for this algorithm; one for a symbol is for all."""
    return scope in ("all", f"account:{account}", f"algorithm:{algorithm}") or scope.startswith("symbol:")


def same_scopes(scope: str) -> tuple[str, ...]:
    """Every way in which this scope may be written: that of a pair has two."""
    kind, _, name = scope.partition(":")
    return tuple(f"symbol:{spelling}" for spelling in spellings(name)) if kind == "symbol" else (scope,)


def checked_scope(scope: str) -> str:
    """The same scope. Raises InvalidInput for what is none."""
    kind, _, name = scope.partition(":")
    checks = {"algorithm": checked_name, "account": checked_name}
    if kind in checks:
        checks[kind](name, kind)
    elif kind == "symbol":
        checked_symbol(name)
    elif scope != "all":
        raise InvalidInput(f"scope {scope!r}: use all, account:..., algorithm:... or symbol:...")
    return scope


def scope_of(*, algorithm: str | None = None, symbol: str | None = None, account: str | None = None) -> str:
    """The scope that an operator named; `all` without any.

    Raises InvalidInput for two at once or an impossible name.
    """
    named = [
        f"{kind}:{check(value)}"
        for kind, value, check in (
            ("algorithm", algorithm, lambda name: checked_name(name, "algorithm")),
            ("symbol", symbol, checked_symbol),
            ("account", account, lambda name: checked_name(name, "account")),
        )
        if value is not None
    ]
    if len(named) > 1:
        raise InvalidInput(f"one scope at a time, not {' and '.join(named)}: give the command twice")
    return named[0] if named else "all"
