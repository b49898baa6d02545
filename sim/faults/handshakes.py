"""Decides how a websocket's handshake and login go under the faults that are on."""

from dataclasses import dataclass

from sim.faults.faults import Faults

# The order matters: a server that is down says nothing about limits.
_REFUSALS = {"disconnect": 503, "handshake_429": 429}
_ONE_TOO_MANY = ("stale_session", "connection_limit")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a connection begins: refused with an HTTP `status`, or opened, and silent from `silent_at` on."""

    status: int | None = None
    silent_at: str | None = None
    compress: bool = True


def opening(faults: Faults, stream: str) -> Opening:
    """Return how a new connection, not yet authenticated, begins; counts the faults that strike."""
    if faults.is_quiet:
        return Opening()
    for name, status in _REFUSALS.items():
        if faults.strike(name, stream=stream):
            return Opening(status)
    # The trade-updates stream refuses one connection too many before the login.
    if stream == "trade_updates" and is_one_too_many(faults, stream, None):
        return Opening(429)
    compress = faults.strike("no_deflate", stream=stream) is None
    silent = faults.strike("silent_handshake", stream=stream)
    return Opening(None, None if silent is None else silent["step"], compress)


def is_one_too_many(faults: Faults, stream: str, account: str | None) -> bool:
    """Return whether a fault refuses the connection as one too many."""
    return any(faults.strike(name, stream=stream, account=account) for name in _ONE_TOO_MANY)
