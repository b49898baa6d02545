"""The shapes of market data: short keys over REST, with type and symbol on the websockets."""

from shapes import (
    NUMBER,
    STAMP,
    TEXT,
    UTC_TIME,
    WHOLE,
    WORD,
    Kind,
    ListOf,
    MapOf,
    MayLack,
    OrNull,
    Shape,
    one_of,
)

TOKEN = OrNull(WORD)
_CONDITIONS = ListOf(TEXT)

STOCK_TRADE: dict[str, Shape] = {
    "i": WHOLE, "x": WORD, "p": NUMBER, "s": WHOLE, "c": _CONDITIONS, "z": WORD, "t": UTC_TIME,
}  # fmt: skip
STOCK_QUOTE: dict[str, Shape] = {
    "bx": TEXT, "bp": NUMBER, "bs": WHOLE, "ax": TEXT, "ap": NUMBER, "as": WHOLE, "c": _CONDITIONS, "z": WORD,
    "t": UTC_TIME,
}  # fmt: skip
_BAR: dict[str, Shape] = dict.fromkeys(("o", "h", "l", "c", "vw"), NUMBER)
STOCK_BAR: dict[str, Shape] = _BAR | {"v": WHOLE, "n": WHOLE, "t": UTC_TIME}
COIN_TRADE: dict[str, Shape] = {
    "i": WHOLE, "p": NUMBER, "s": NUMBER, "tks": one_of("B", "S"), "x": MayLack(WORD), "t": UTC_TIME,
}  # fmt: skip
COIN_QUOTE: dict[str, Shape] = {"bp": NUMBER, "bs": NUMBER, "ap": NUMBER, "as": NUMBER, "t": UTC_TIME}
COIN_BAR: dict[str, Shape] = _BAR | {"v": NUMBER, "n": WHOLE, "t": UTC_TIME}
_LEVELS = ListOf({"p": NUMBER, "s": NUMBER})
COIN_BOOK: dict[str, Shape] = {"a": _LEVELS, "b": _LEVELS, "t": UTC_TIME}
CORRECTION: dict[str, Shape] = {
    "x": WORD, "oi": WHOLE, "op": NUMBER, "os": WHOLE, "oc": _CONDITIONS, "ci": WHOLE, "cp": NUMBER,
    "cs": WHOLE, "cc": _CONDITIONS, "z": WORD, "t": UTC_TIME,
}  # fmt: skip
CANCEL: dict[str, Shape] = {
    "i": WHOLE, "x": WORD, "p": NUMBER, "s": WHOLE, "a": one_of("C", "E"), "z": WORD, "t": UTC_TIME,
}  # fmt: skip
STATUS: dict[str, Shape] = {
    **dict.fromkeys(("sc", "sm", "rc", "rm"), TEXT), "z": WORD, "t": UTC_TIME,
}  # fmt: skip
NEWS: dict[str, Shape] = {
    "id": WHOLE, "headline": TEXT, "summary": TEXT, "author": TEXT, "created_at": UTC_TIME,
    "updated_at": UTC_TIME, "url": OrNull(TEXT), "content": TEXT, "symbols": ListOf(WORD), "source": WORD,
}  # fmt: skip
NEWS_IMAGES = ListOf({"size": WORD, "url": WORD})

# History says of a trade what became of it: canceled, corrected.
_KEPT_TRADE: dict[str, Shape] = STOCK_TRADE | {"u": MayLack(WORD)}
STOCK: dict[str, dict[str, Shape]] = {"trades": _KEPT_TRADE, "quotes": STOCK_QUOTE, "bars": STOCK_BAR}
COIN: dict[str, dict[str, Shape]] = {"trades": COIN_TRADE, "quotes": COIN_QUOTE, "bars": COIN_BAR}
LETTERS = {
    "trades": "t", "quotes": "q", "bars": "b", "updatedBars": "u", "dailyBars": "d", "orderbooks": "o",
    "statuses": "s",
}  # fmt: skip


def page(channel: str, shape: Shape) -> Shape:
    """One page of history."""
    return {channel: MapOf(ListOf(shape)), "next_page_token": TOKEN}


def latest(channel: str, shape: Shape) -> Shape:
    """The newest of each symbol."""
    return {channel: MapOf(shape)}


def snapshot(shapes: dict[str, dict[str, Shape]]) -> Shape:
    """Everything newest of one symbol."""
    return {
        "latestTrade": OrNull(shapes["trades"]),
        "latestQuote": OrNull(shapes["quotes"]),
        "minuteBar": OrNull(shapes["bars"]),
        "dailyBar": OrNull(shapes["bars"]),
        "prevDailyBar": OrNull(shapes["bars"]),
    }


def on_the_wire(letter: str, shape: dict[str, Shape], is_msgpack: bool) -> dict[str, Shape]:
    """The same on a websocket: type first, symbol, times of the codec; `r` says when it was received."""
    time: Kind = STAMP if is_msgpack else UTC_TIME
    timed: dict[str, Shape] = {
        name: time if inner is UTC_TIME else inner for name, inner in shape.items() if name != "u"
    }
    symbol: dict[str, Shape] = {} if letter == "n" else {"S": WORD}
    received: dict[str, Shape] = {"r": MayLack(time)} if letter in ("t", "q") else {}
    return {"T": one_of(letter), **symbol, **timed, **received}
