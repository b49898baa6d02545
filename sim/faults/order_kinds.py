"""Faults of orders: of the updates that tell of them, and of what becomes of them."""

from sim.faults.kind import COUNTED, ONCE, TIMED, Kind

UPDATE_KINDS: dict[str, Kind] = {
    "duplicate_updates": Kind(
        "update",
        {"fault": "duplicate_updates"},
        COUNTED,
        "Every trade update is sent twice; until faults are cleared.",
    ),
    "out_of_order_updates": Kind(
        "update",
        {"fault": "out_of_order_updates"},
        TIMED,
        "Trade updates change places in pairs; until faults are cleared.",
    ),
    "update_before_response": Kind(
        "update",
        {"fault": "update_before_response"},
        TIMED,
        "Trade updates of an order are sent before the REST answer; until faults are cleared.",
    ),
    "lost_updates": Kind(
        "update",
        {"fault": "lost_updates", "count": 1},
        ONCE,
        "Trade updates are never sent; REST shows the truth.",
    ),
    "late_updates": Kind(
        "update",
        {"fault": "late_updates", "ms": 300, "seconds": 5},
        {"ms": 300, **COUNTED},
        "Trade updates are sent `ms` milliseconds late; later ones may overtake them.",
    ),
    "unknown_status": Kind(
        "update",
        {"fault": "unknown_status", "count": 1},
        ONCE,
        "The order in a trade update has a status that no client knows; alpaca-py's parsed stream drops it.",
    ),
    "unknown_event": Kind(
        "update",
        {"fault": "unknown_event", "count": 1},
        ONCE,
        "A trade update tells of an event that no client knows; its order is the truth.",
    ),
}

ORDER_KINDS: dict[str, Kind] = {}
