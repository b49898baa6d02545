"""Names in the limits that nothing answers to: taken, since it may come later, and never silently. Pure."""

from collections.abc import Collection

from bus.near_names import did_you_mean
from oms.limits.limits import Limits


def named_symbols(limits: Limits) -> list[str]:
    """Every symbol that the limits name."""
    scopes = (limits.account, limits.each_algorithm, *limits.algorithms.values())
    listed = (names for scope in scopes for names in (scope.restricted, scope.symbols or ()))
    return sorted(frozenset(limits.symbols).union(*listed))


def unmatched(
    limits: Limits, registered: Collection[str], unknown_symbols: Collection[str]
) -> tuple[str, ...]:
    """A sentence for each name that binds nothing.

    That is an algorithm that never registered, which may be started tomorrow, and a symbol that the broker
    does not know, which may be listed tomorrow.
    """
    found = [
        f"[algorithm.{name}]: no algorithm of this name has registered; {_known(name, registered)}"
        for name in limits.algorithms
        if name not in registered
    ]
    scopes = (limits.account, limits.each_algorithm, *limits.algorithms.values())
    restricted = frozenset().union(*(scope.restricted for scope in scopes))
    for symbol in named_symbols(limits):
        if symbol in unknown_symbols:
            listed = "restricted" if symbol in restricted else "symbols"
            where = f'[symbol."{symbol}"]' if symbol in limits.symbols else f"{listed} {symbol}"
            found.append(f"{where}: the broker knows no such symbol")
    return tuple(found)


def _known(name: str, registered: Collection[str]) -> str:
    if not registered:
        return "none has yet"
    return f"known are {', '.join(sorted(registered))}{did_you_mean((name,), registered)}"
