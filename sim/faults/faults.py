"""What can be made to go wrong while it runs: by name, each with an example to send."""

from dataclasses import dataclass
from typing import Any

from bus.errors import InvalidInput
from sim.times import SECOND_NS

STREAMS = ("stocks", "crypto", "trade_updates")
APIS = ("trading", "data")
MOMENTS = ("request", "response")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: an example with every field, which of them may be left out, and what it does."""

    example: dict[str, Any]
    optional: tuple[str, ...]
    explanation: str


KINDS: dict[str, Kind] = {
    "disconnect": Kind(
        {"fault": "disconnect", "stream": "stocks", "seconds": 2},
        ("seconds",),
        "Cuts the stream's connections without a close frame; for `seconds` connecting is answered with 503.",
    ),
    "mute": Kind(
        {"fault": "mute", "stream": "stocks", "seconds": 5},
        ("seconds",),
        "The stream stays connected and answers pings, but what it had to say is lost; for `seconds`, or "
        "until faults are cleared.",
    ),
    "connection_limit": Kind(
        {"fault": "connection_limit", "stream": "stocks", "seconds": 5},
        ("seconds",),
        "New connections are one too many: error 406 after auth, or HTTP 429 on trade_updates.",
    ),
    "rate_limit": Kind(
        {"fault": "rate_limit", "count": 3, "api": "trading"},
        ("api",),
        "The next `count` requests are answered with 429.",
    ),
    "accept_then_504": Kind(
        {"fault": "accept_then_504", "count": 1},
        (),
        "The next `count` orders are taken, and then answered with 504.",
    ),
    "error_500": Kind(
        {"fault": "error_500", "count": 1},
        (),
        "The next `count` orders are answered with 500 and not taken.",
    ),
    "latency": Kind(
        {"fault": "latency", "ms": 200, "at": "request"},
        ("at",),
        "Every trading request waits: before it is carried out (at request) or before the answer leaves "
        "(at response); until faults are cleared.",
    ),
    "duplicate_updates": Kind(
        {"fault": "duplicate_updates"}, (), "Every trade update is sent twice; until faults are cleared."
    ),
    "out_of_order_updates": Kind(
        {"fault": "out_of_order_updates"},
        (),
        "Trade updates change places in pairs; until faults are cleared.",
    ),
    "update_before_response": Kind(
        {"fault": "update_before_response"},
        (),
        "Trade updates of an order are sent before the REST answer; until faults are cleared.",
    ),
}

_CHOICES = {"stream": STREAMS, "api": APIS, "at": MOMENTS}
_DEFAULTS: dict[str, Any] = {"api": "trading", "at": "request", "seconds": None}


def parse(body: Any) -> dict[str, Any]:
    """The fault as a full set of fields; raises InvalidInput naming the field and what it may be."""
    if not isinstance(body, dict):
        raise InvalidInput(f"a fault is a JSON object such as {KINDS['disconnect'].example}")
    name = body.get("fault", body.get("name"))
    if not isinstance(name, str) or name not in KINDS:
        raise InvalidInput(f"fault is {name!r}; allowed: {', '.join(KINDS)}")
    kind = KINDS[name]
    fields: dict[str, Any] = {"fault": name}
    for field in kind.example:
        if field == "fault":
            continue
        if field not in body:
            if field not in kind.optional:
                raise InvalidInput(f"{field} is missing; example: {kind.example}")
            fields[field] = _DEFAULTS[field]
        else:
            fields[field] = _checked(field, body[field])
    unknown = sorted(set(body) - set(kind.example) - {"name"})
    if unknown:
        raise InvalidInput(f"{unknown[0]} is no field of {name}; example: {kind.example}")
    return fields


def _checked(field: str, value: Any) -> Any:
    choices = _CHOICES.get(field)
    if choices is not None:
        if isinstance(value, str):
            # "trade updates" is how people say it.
            value = value.replace(" ", "_").replace("-", "_")
        if value not in choices:
            raise InvalidInput(f"{field} is {value!r}; allowed: {', '.join(choices)}")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise InvalidInput(f"{field} is {value!r}; allowed: a number greater than 0")
    if field == "count" and not isinstance(value, int):
        raise InvalidInput(f"{field} is {value!r}; allowed: a whole number greater than 0")
    return value


class Faults:
    """The faults turned on; every question takes the time in nanoseconds."""

    def __init__(self) -> None:
        self._until_ns: dict[tuple[str, str], int | None] = {}
        self._counts: dict[tuple[str, str], int] = {}
        self._on: dict[str, dict[str, Any]] = {}

    def turn_on(self, fault: dict[str, Any], now_ns: int) -> None:
        """Begin a parsed fault; one of the same name and target takes the place of the old."""
        name = fault["fault"]
        if "stream" in fault:
            seconds = fault["seconds"]
            if seconds is not None:
                self._until_ns[name, fault["stream"]] = now_ns + int(seconds * SECOND_NS)
            elif name != "disconnect":
                self._until_ns[name, fault["stream"]] = None
        elif "count" in fault:
            self._counts[name, fault.get("api", "trading")] = fault["count"]
        else:
            self._on[name] = fault

    def clear(self) -> None:
        """End them all."""
        self._until_ns.clear()
        self._counts.clear()
        self._on.clear()

    def holds(self, name: str, stream: str, now_ns: int) -> bool:
        """Whether a fault of a stream holds now."""
        if (name, stream) not in self._until_ns:
            return False
        until_ns = self._until_ns[name, stream]
        return until_ns is None or now_ns < until_ns

    def take(self, name: str, api: str = "trading") -> bool:
        """Whether a counted fault strikes this time; counts it."""
        left = self._counts.get((name, api), 0)
        if left:
            self._counts[name, api] = left - 1
        return left > 0

    def is_on(self, name: str) -> bool:
        """Whether a fault that holds until cleared is on."""
        return name in self._on

    def latency_ms(self, moment: str) -> float:
        """The delay asked for at this moment of a request, in milliseconds."""
        fault = self._on.get("latency")
        return float(fault["ms"]) if fault is not None and fault["at"] == moment else 0.0

    def active(self, now_ns: int) -> list[str]:
        """The names of those that would strike now."""
        timed = {name for name, stream in self._until_ns if self.holds(name, stream, now_ns)}
        counted = {name for (name, _), left in self._counts.items() if left}
        return sorted(timed | counted | set(self._on))
