"""Kinds of faults of websockets: of connecting, of connections, and of their frames."""

from sim.faults.kind import AT_ONCE, COUNTED, ONCE, TIMED, Kind

STREAM_KINDS: dict[str, Kind] = {
    "disconnect": Kind(
        "stream",
        {"fault": "disconnect", "stream": "stocks", "seconds": 2},
        TIMED,
        "Cuts the stream's connections without a close frame; for `seconds` connecting is answered with 503, "
        "unless only one account is meant: who connects is not known yet.",
    ),
    "mute": Kind(
        "stream",
        {"fault": "mute", "stream": "stocks", "seconds": 5},
        TIMED,
        "The stream stays connected and answers pings, but what it had to say is lost; for `seconds`, or "
        "until faults are cleared.",
    ),
    "connection_limit": Kind(
        "stream",
        {"fault": "connection_limit", "stream": "stocks", "seconds": 5},
        COUNTED,
        "New connections are one too many: error 406 after auth, or HTTP 429 on trade_updates (of one "
        "account only: unauthorized, since nobody is known before the login).",
    ),
    "stale_session": Kind(
        "stream",
        {"fault": "stale_session", "stream": "stocks", "seconds": 3},
        TIMED,
        "Cuts the stream's connections, and for `seconds` takes those who return for one too many, as long "
        "as the server has not noticed that the first are gone.",
    ),
    "handshake_429": Kind(
        "stream",
        {"fault": "handshake_429", "stream": "stocks", "count": 1},
        {"count": 1, "seconds": None},
        "Connecting is answered with HTTP 429.",
    ),
    "silent_handshake": Kind(
        "stream",
        {"fault": "silent_handshake", "stream": "stocks", "step": "auth", "count": 1},
        {"step": "connected", "count": 1, "seconds": None},
        "A new connection is opened, answers pings, and falls silent for good at `step`: it never says "
        "connected, or nothing from the login on (auth), or from the first subscription on.",
    ),
    "stream_error": Kind(
        "stream",
        {"fault": "stream_error", "stream": "stocks", "code": 500, "count": 1},
        ONCE,
        "What a market-data client says next, a login or a subscription, is answered with the error of this "
        "number, such as 408, 411 or 500, and is not carried out; trade updates know no such errors.",
    ),
    "refused_symbol": Kind(
        "stream",
        {"fault": "refused_symbol", "stream": "stocks", "symbol": "SPY", "code": 400},
        {"count": None, "seconds": None, "account": None},
        "A subscription of market data that names the symbol is answered with the error of this number, and "
        "nothing of it is carried out.",
    ),
    "forgotten_symbol": Kind(
        "stream",
        {"fault": "forgotten_symbol", "stream": "stocks", "symbol": "SPY"},
        {"count": None, "seconds": None, "account": None},
        "The symbol is left out of what a client subscribes to, and of the acknowledgement, without a word.",
    ),
    "no_deflate": Kind(
        "stream",
        {"fault": "no_deflate", "stream": "stocks", "seconds": 5},
        {"seconds": None, "count": None},
        "New connections are not compressed, whatever the client offers.",
    ),
    "no_pong": Kind(
        "stream",
        {"fault": "no_pong", "stream": "stocks", "seconds": 5},
        COUNTED,
        "Pings of clients are not answered.",
    ),
    "slow_client": Kind(
        "stream",
        {"fault": "slow_client", "stream": "stocks"},
        AT_ONCE,
        "Clients are too slow at once: error 407 on market data, then the connection is closed with 1008.",
        is_over_at_once=True,
    ),
    "end_events": Kind(
        "stream",
        {"fault": "end_events"},
        {},
        "Every stream of server-sent events ends; who asks again, with the last id as since_id, misses none.",
        is_over_at_once=True,
    ),
    "drop_mid_frame": Kind(
        "stream",
        {"fault": "drop_mid_frame", "stream": "stocks"},
        AT_ONCE,
        "Half a frame is sent to each client, and the connection ends there.",
        is_over_at_once=True,
    ),
    "huge_frame": Kind(
        "stream",
        {"fault": "huge_frame", "stream": "stocks", "mib": 2},
        {"mib": 2, "account": None},
        "One frame of `mib` MiB; clients that take no more than 1 MiB close with 1009.",
        is_over_at_once=True,
    ),
    "unknown_type": Kind(
        "stream",
        {"fault": "unknown_type", "stream": "stocks"},
        AT_ONCE,
        "One message of a kind that no client knows: its T, or its stream on trade_updates, is new.",
        is_over_at_once=True,
    ),
    "trickle": Kind(
        "stream",
        {"fault": "trickle", "stream": "stocks", "bytes": 64, "ms": 5, "seconds": 1},
        {"bytes": 64, "ms": 5, "seconds": None, "account": None},
        "Messages arrive in fragments of `bytes`, `ms` milliseconds apart.",
    ),
    "duplicate_messages": Kind(
        "stream",
        {"fault": "duplicate_messages", "stream": "stocks", "seconds": 5},
        COUNTED,
        "Market messages are sent twice.",
    ),
    "out_of_order_messages": Kind(
        "stream",
        {"fault": "out_of_order_messages", "stream": "stocks", "seconds": 5},
        COUNTED,
        "The market messages of a moment arrive backwards; one that comes alone swaps places with the next.",
    ),
    "lost_messages": Kind(
        "stream",
        {"fault": "lost_messages", "stream": "stocks", "count": 20},
        ONCE,
        "So many market messages are never sent: a gap.",
    ),
    "late_messages": Kind(
        "stream",
        {"fault": "late_messages", "stream": "stocks", "ms": 500, "seconds": 5},
        {"ms": 500, "seconds": None, "account": None},
        "Market messages arrive `ms` milliseconds after their time.",
    ),
}
