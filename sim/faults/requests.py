"""Decides what becomes of a REST request under the faults that are on; the middleware carries it out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sim.faults.faults import Faults

_ON_ORDERS = {"POST": "submit", "PATCH": "replace", "DELETE": "cancel"}
_WORDS = {
    408: "request timeout",
    422: "order is not open",
    425: "too early",
    499: "client closed request",
    500: "internal server error occurred",
    502: "bad gateway",
    503: "service unavailable",
    504: "gateway timeout",
}


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What becomes of a request.

    It is carried out or not, and answered by its handler, or with `status` and `body` instead. `wait_ms`
    passes first. `reset` ends the connection without an answer, `cut` in the middle of it. Between the bytes
    of the answer `drip_ms` pass.
    """

    is_carried_out: bool = True
    status: int | None = None
    body: dict[str, Any] | str = ""
    reset: bool = False
    cut: bool = False
    wait_ms: float | int = 0
    drip_ms: float | int = 0


def _http_error(fault: dict[str, Any]) -> RequestOutcome:
    return _error(fault["status"], fault["accepted"], fault["html"])


def _error(status: int, accepted: bool, html: bool) -> RequestOutcome:
    words = _WORDS[status]
    body = {"code": status * 100_000 + 10_000, "message": words}
    page = f"<html><body><h1>{status} {words.title()}</h1></body></html>"
    return RequestOutcome(accepted, status, page if html else body)


# By kind; where several concern a request, the first strikes.
_OUTCOMES: dict[str, Callable[[dict[str, Any]], RequestOutcome]] = {
    "reset": lambda fault: RequestOutcome(fault["accepted"], reset=True),
    "hang": lambda fault: RequestOutcome(fault["accepted"], reset=not fault["accepted"], wait_ms=fault["ms"]),
    "drip": lambda fault: RequestOutcome(drip_ms=fault["ms"]),
    "truncated": lambda fault: RequestOutcome(cut=True),
    "http_error": _http_error,
    "accept_then_504": lambda fault: _error(504, accepted=True, html=True),
    "error_500": lambda fault: _error(500, accepted=False, html=False),
}
_UNCHANGED = RequestOutcome()


def groups(method: str, path: str, api: str) -> tuple[str, ...]:
    """Return the names of this request in a fault's `on`."""
    if api == "trading" and path.startswith("/v2/orders") and method in _ON_ORDERS:
        return (_ON_ORDERS[method], api, "any")
    if api == "trading" and path.startswith("/v2/positions") and method == "DELETE":
        return ("close", api, "any")
    return ("read", api, "any") if method == "GET" else (api, "any")


def outcome_of(faults: Faults, called: tuple[str, ...], account: str) -> RequestOutcome:
    """Return the outcome of a request with these names; counts the fault that strikes."""
    if faults.is_quiet:
        return _UNCHANGED
    for name, outcome in _OUTCOMES.items():
        # Kinds without an `on` concern requests that submit orders.
        for on in called:
            active = faults.find(name, on=on, account=account)
            if active is not None and active.fault.get("on", "submit") == on:
                return outcome(faults.hit(active))
    return _UNCHANGED


def latency_ms(faults: Faults, called: tuple[str, ...], account: str, moment: str) -> float | int:
    """Return how long a request waits at this point, request or response, in milliseconds."""
    if faults.is_quiet:
        return 0
    for on in called:
        active = faults.find("latency", on=on, account=account)
        if active is not None and active.fault["at"] == moment:
            delay_ms: float | int = faults.hit(active)["ms"]
            return delay_ms
    return 0
