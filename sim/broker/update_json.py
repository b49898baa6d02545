"""Shows a trade update in Alpaca's JSON, for the websocket and as a server-sent event."""

from typing import Any

from sim.amounts import plain
from sim.broker.updates import Update
from sim.times import rfc3339


def update_json(update: Update) -> dict[str, Any]:
    """Return the event and its order; price and quantities are strings and only on fills."""
    body: dict[str, Any] = {
        "event": update.event,
        "execution_id": update.execution_id,
        "order": update.order,
        "timestamp": rfc3339(update.at_ns),
    }
    if update.fill is not None and update.position_qty is not None:
        body["price"] = plain(update.fill.price)
        body["qty"] = plain(update.fill.qty)
        body["position_qty"] = plain(update.position_qty)
    return body
