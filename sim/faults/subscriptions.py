"""Decides what becomes of a request to subscribe under the faults that are on."""

from typing import Any

from sim.faults.faults import Faults


def refusal(faults: Faults, message: dict[str, Any], stream: str, account: str | None) -> int | None:
    """Return the number of the error for a request that names a refused symbol; counts the fault."""
    for symbol in sorted(_symbols(message)):
        struck = faults.strike("refused_symbol", stream=stream, account=account, symbol=symbol)
        if struck is not None:
            return int(struck["code"])
    return None


def heeded(faults: Faults, message: dict[str, Any], stream: str, account: str | None) -> dict[str, Any]:
    """Return the request without the symbols that are forgotten; counts the faults."""
    forgotten = {
        symbol
        for symbol in _symbols(message)
        if faults.strike("forgotten_symbol", stream=stream, account=account, symbol=symbol)
    }
    return {
        name: [one for one in value if not (isinstance(one, str) and one in forgotten)]
        if isinstance(value, list)
        else value
        for name, value in message.items()
    }


def _symbols(message: dict[str, Any]) -> set[str]:
    return {
        symbol
        for value in message.values()
        if isinstance(value, list)
        for symbol in value
        if isinstance(symbol, str)
    }
