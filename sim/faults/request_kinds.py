"""Kinds of faults of REST requests; `on` names the requests, by default those that submit an order."""

from sim.faults.kind import ONCE, Kind

REQUEST_KINDS: dict[str, Kind] = {
    "rate_limit": Kind(
        "request",
        {"fault": "rate_limit", "count": 3, "api": "trading"},
        {"api": "trading", **ONCE},
        "The next `count` requests are answered with 429 and its X-RateLimit headers; with `seconds` the "
        "reset that they name is the fault's end.",
    ),
    "accept_then_504": Kind(
        "request",
        {"fault": "accept_then_504", "count": 1},
        ONCE,
        "The next `count` orders are carried out, and answered with 504 whatever came of them.",
    ),
    "error_500": Kind(
        "request",
        {"fault": "error_500", "count": 1},
        ONCE,
        "The next `count` orders are answered with 500 and not taken.",
    ),
    "http_error": Kind(
        "request",
        {"fault": "http_error", "status": 503, "count": 1, "on": "submit", "accepted": True, "html": True},
        {"on": "submit", "accepted": False, "html": False, **ONCE},
        "The next `count` requests are answered with `status`; where `accepted`, after they were carried "
        "out; with a body of HTML instead of JSON where `html`.",
    ),
    "reset": Kind(
        "request",
        {"fault": "reset", "count": 1, "on": "submit", "accepted": True},
        {"on": "submit", "accepted": False, **ONCE},
        "The connection is reset instead of an answer; where `accepted`, after the request was carried out.",
    ),
    "truncated": Kind(
        "request",
        {"fault": "truncated", "count": 1, "on": "submit"},
        {"on": "submit", **ONCE},
        "The request is carried out, and the connection ends in the middle of the answer.",
    ),
    "drip": Kind(
        "request",
        {"fault": "drip", "count": 1, "ms": 100, "on": "submit"},
        {"ms": 100, "on": "submit", **ONCE},
        "The request is carried out, and its answer comes byte by byte, `ms` milliseconds apart; then the "
        "connection ends.",
    ),
    "refuse_connections": Kind(
        "request",
        {"fault": "refuse_connections", "seconds": 2},
        {"seconds": None},
        "Nothing listens: connections that wait for a request end, and new ones, of websockets too, are "
        "refused; for `seconds`, or until faults are cleared.",
    ),
    "hang": Kind(
        "request",
        {"fault": "hang", "count": 1, "ms": 1000, "on": "submit", "accepted": True},
        {"ms": 60_000, "on": "submit", "accepted": True, **ONCE},
        "No answer for `ms` milliseconds; the request is carried out at once where `accepted`, never "
        "otherwise: then the connection is reset at the end.",
    ),
    "latency": Kind(
        "request",
        {"fault": "latency", "ms": 200, "at": "request"},
        {"at": "request", "on": "trading", "count": None, "seconds": None, "account": None},
        "Every trading request waits: before it is carried out (at request) or before the answer leaves "
        "(at response); until faults are cleared.",
    ),
}
