"""What becomes of a websocket's handshake and login under the faults that are on."""

from dataclasses import dataclass

from sim.faults.faults import Faults

# The order counts: a server that is down says nothing about limits.
_REFUSALS = {"disconnect": 503, "handshake_429": 429}
_ONE_TOO_MANY = ("stale_session", "connection_limit")


@dataclass(frozen=True, slots=True)
class Opening:
    """How a connection begins: refused with an HTTP `status`, or opened, perhaps `silent` for good."""

    status: int | None = None
    silent: bool = False
    compress: bool = True


def opening(faults: Faults, stream: str) -> Opening:
    """How a new connection begins; counts the faults that strike. Nobody has logged in yet."""
    if faults.is_quiet:
        return Opening()
    for name, status in _REFUSALS.items():
        if faults.strike(name, stream=stream):
            return Opening(status)
    # Trade updates know one connection too many before the login already.
    if stream == "trade_updates" and is_one_too_many(faults, stream, None):
        return Opening(429)
    compress = faults.strike("no_deflate", stream=stream) is None
    return Opening(None, faults.strike("silent_handshake", stream=stream) is not None, compress)


def is_one_too_many(faults: Faults, stream: str, account: str | None) -> bool:
    """Whether a fault takes a connection for one too many."""
    return any(faults.strike(name, stream=stream, account=account) for name in _ONE_TOO_MANY)
