"""Kinds of faults of orders and of their updates."""

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

ORDER_KINDS: dict[str, Kind] = {
    "reject_order": Kind(
        "order",
        {"fault": "reject_order", "count": 1},
        ONCE,
        "An order is answered with pending_new, and then rejected: event and status `rejected`.",
    ),
    "reject_cancel": Kind(
        "order",
        {"fault": "reject_cancel", "count": 1},
        ONCE,
        "A cancel is answered with 204, and then refused: event `order_cancel_rejected`; the order lives on.",
    ),
    "reject_replace": Kind(
        "order",
        {"fault": "reject_replace", "count": 1},
        ONCE,
        "A replacement is answered with pending_new, and then refused: event `order_replace_rejected` of the "
        "old order, which lives on, and `rejected` of the new.",
    ),
    "hold_order": Kind(
        "order",
        {"fault": "hold_order", "state": "suspended", "ms": 300, "count": 1},
        {"ms": 500, **ONCE},
        "A new order without legs is told as `state` (suspended, stopped, done_for_day, calculated) and does "
        "not fill for `ms` milliseconds; then it is `restated` as new, and works.",
    ),
    "partial_fills": Kind(
        "order",
        {"fault": "partial_fills", "chance": 1, "seconds": 5},
        {"seconds": None, "account": None},
        "Fills are partial with this chance, from 0 to 1, instead of the one the simulator started with.",
    ),
}
