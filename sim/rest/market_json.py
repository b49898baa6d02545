"""Shows market data as REST does: without type and symbol, times as text."""

from typing import Any

import msgspec

from sim.exchange.history import History
from sim.exchange.market_messages import Message, OrderBook
from sim.times import rfc3339


def message_json(message: Message) -> dict[str, Any]:
    """Return a trade, quote or bar under its short names."""
    body: dict[str, Any] = msgspec.to_builtins(message)
    del body["T"], body["S"]
    body["t"] = rfc3339(message.time_ns)
    return body


def book_json(book: OrderBook) -> dict[str, Any]:
    """Return a crypto pair's order book: bids and asks, the best first."""
    sides = {"b": book.bids, "a": book.asks}
    body: dict[str, Any] = {
        side: [{"p": level.price, "s": level.size} for level in levels] for side, levels in sides.items()
    }
    return body | {"t": rfc3339(book.time_ns)}


def snapshot_json(history: History, symbol: str) -> dict[str, Any] | None:
    """Return the newest of everything of one symbol; None where there is nothing."""
    day, day_before = history.latest_days(symbol)
    newest = {
        "latestTrade": history.latest_trade(symbol),
        "latestQuote": history.latest_quote(symbol),
        "minuteBar": history.latest_minute(symbol),
        "dailyBar": day,
        "prevDailyBar": day_before,
    }
    if all(message is None for message in newest.values()):
        return None
    return {name: None if message is None else message_json(message) for name, message in newest.items()}
