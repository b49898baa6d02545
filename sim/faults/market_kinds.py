"""Faults of the market itself, and of the server's clock."""

from sim.faults.kind import TIMED, Kind

MARKET_KINDS: dict[str, Kind] = {
    "clock_skew": Kind(
        "market",
        {"fault": "clock_skew", "skew_ms": -1500, "seconds": 5},
        TIMED,
        "The server's clock is off by `skew_ms`: in market messages, trade updates, /v2/clock and the HTTP "
        "Date; orders keep their times.",
    ),
}
