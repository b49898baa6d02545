"""Faults of the market itself, and of the server's clock."""

from sim.faults.kind import Kind

_NOTHING: dict[str, object] = {}

MARKET_KINDS: dict[str, Kind] = {
    "price_jump": Kind(
        "market",
        {"fault": "price_jump", "symbol": "AAPL", "percent": -5},
        _NOTHING,
        "The price is so much higher or lower from now on.",
        is_over_at_once=True,
    ),
    "bad_quote": Kind(
        "market",
        {"fault": "bad_quote", "symbol": "AAPL", "quote": "crossed"},
        _NOTHING,
        "The stream shows one quote that makes no sense: crossed, zero, or stale by a minute. Orders do not "
        "fill at it.",
        is_over_at_once=True,
    ),
    "halt": Kind(
        "market",
        {"fault": "halt", "symbol": "AAPL", "seconds": 2},
        {"seconds": None},
        "Trading in a share halts and later resumes, with its statuses; orders wait.",
    ),
    "correct_trade": Kind(
        "market",
        {"fault": "correct_trade", "symbol": "AAPL", "size": 7},
        {"size": 7},
        "The last trade of a share was of another size: a correction.",
        is_over_at_once=True,
    ),
    "cancel_trade": Kind(
        "market",
        {"fault": "cancel_trade", "symbol": "AAPL"},
        _NOTHING,
        "The last trade of a share never was: a cancel.",
        is_over_at_once=True,
    ),
    "clock_skew": Kind(
        "market",
        {"fault": "clock_skew", "skew_ms": -1500, "seconds": 5},
        {"seconds": None},
        "The server's clock is off by `skew_ms`: in market messages, trade updates, /v2/clock and the HTTP "
        "Date; orders keep their times.",
    ),
}
