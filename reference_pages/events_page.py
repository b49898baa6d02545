"""The page of messages: requests, events of the journal, control messages and market data, with examples."""

import inspect
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from bus.book_messages import Difference
from bus.codec import Message
from bus.control_messages import CONTROL_MESSAGES
from bus.events import EVENTS
from bus.flatten_messages import FlattenOutcome
from bus.market_messages import (
    Bar,
    CanceledTrade,
    Correction,
    DailyBar,
    GapClosed,
    GapOpened,
    Imbalance,
    Level,
    News,
    OrderBook,
    PriceBand,
    Quote,
    Snapshot,
    Trade,
    TradingStatus,
    UpdatedBar,
)
from bus.order_events import Basis
from bus.order_messages import REQUESTS, OrderTerms, Reason
from reference_pages.field_meanings import meaning
from reference_pages.markdown import block, code, page, table
from reference_pages.type_words import words

# Entries as this release writes them; the tests read them back.
EXAMPLES = Path(__file__).parents[1] / "tests" / "bus" / "golden" / "messages-0.1.0.jsonl"

# Parts that several messages have.
PARTS: tuple[type[msgspec.Struct], ...] = (OrderTerms, Reason, Basis, FlattenOutcome, Difference, Level)

# Market entries by their name among the examples: a channel, or the marker of a gap.
MARKET: dict[str, type[msgspec.Struct]] = {
    "trades": Trade,
    "quotes": Quote,
    "bars": Bar,
    "updatedBars": UpdatedBar,
    "dailyBars": DailyBar,
    "statuses": TradingStatus,
    "lulds": PriceBand,
    "corrections": Correction,
    "cancelErrors": CanceledTrade,
    "imbalances": Imbalance,
    "orderbooks": OrderBook,
    "news": News,
    "snapshots": Snapshot,
    "GapOpened": GapOpened,
    "GapClosed": GapClosed,
}

_INTRO = """
Every entry outside `md` has three fields: `type` (the wire name, which stays when code is renamed),
`version`, and `data`, the message as JSON. Decimals are exact, with nine places at most, and written as
text; times are integer nanoseconds since 1970-01-01 UTC. Defaults never change, and most fields that
stand at theirs are left out. An entry of a version that is not known is kept, and shown as it is.

Which stream holds what, who writes it and who reads it: [architecture](../architecture.md). To see
entries: `backbone tail`, or `redis-cli -p 6380 XREVRANGE 'orders:{paper}:journal' + - COUNT 10`. The
examples name every field, those at their defaults too. Their values, codes included, are made up so that
every field has one. What a sentence calls None is left out of an entry, or `null`.
"""

_REQUESTS = "What an algorithm asks for, in `orders:{a}:requests:<algorithm>`."

_EVENTS = """
What happened, in `orders:{a}:journal`, in order; what concerns an algorithm is in
`orders:{a}:events:<algorithm>` too. An entry of the journal also has `batch`, the write that it came
with.
"""

_CONTROL = "What an operator, or the OMS, says to everyone, in `control:{control}`."

_PARTS = "Objects within the messages above."

_MARKET = """
An entry of `md:<symbol>:<channel>` or `md-all:<channel>:<nn>` has `d`, Alpaca's message as JSON with
Alpaca's own short names and the time `t` in nanoseconds, and `r`, when ingest received it (nanoseconds
since 1970-01-01 UTC, as text); where they apply, `type` (the marker of a gap) and `feed`. Its id is the
millisecond at which the market could know it. Numbers stay as Alpaca wrote them. `d` keeps every field
that Alpaca sent; the tables name those that an algorithm is given. Of these channels the OMS reads `trades`,
`quotes`, `bars`, `statuses`, `corrections` and `cancelErrors` for its reference price, and `snapshots`, which
ingest asks for over HTTP where a reader wants them. Contracts have `trades` and `quotes`, under their OCC
symbol; their one condition is written as a list, as all others are. News are written to a stream of each
symbol that they name, `BTC/USD` where they write BTCUSD; those of no symbol to `md:*:news`.
"""


_ACCOUNT = """
What ingest hears of the account, in `account:{a}`. An entry also has `r`, when ingest received it
(nanoseconds since 1970-01-01 UTC, as text; no two alike). The OMS reads it and journals what it means.
"""

ACCOUNT: dict[str, str] = {
    "TradeUpdate": "Alpaca's message as it came, byte for byte",
    "Connected": '`{"epoch": 7000001}`: Alpaca sends from here on; the epoch grows with each connection',
    "Disconnected": '`{"reason": "..."}`: the connection broke; what happens until Connected is asked for',
}


def content() -> str:
    """Return the page."""
    examples = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    return page(
        "Requests, events and control messages",
        _INTRO,
        "## Requests",
        _REQUESTS,
        *_messages("requests", REQUESTS, examples),
        "## Events of the journal",
        _EVENTS,
        *_messages("events", EVENTS, examples),
        "## Control messages",
        _CONTROL,
        *_messages("control", CONTROL_MESSAGES, examples),
        "## The account stream",
        _ACCOUNT,
        table(("type", "data"), ((code(name), data) for name, data in ACCOUNT.items())),
        "## Parts",
        _PARTS,
        *(part for cls in PARTS for part in (f"### {cls.__name__}", _sentences(cls), _fields(cls))),
        "## Market data",
        _MARKET,
        *_market(examples),
    )


def _messages(family: str, classes: Iterable[type[Message]], examples: list[dict[str, str]]) -> Iterable[str]:
    for cls in classes:
        entry = next(one for one in examples if one["family"] == family and one["type"] == cls.wire)
        yield f"### {cls.wire}"
        yield _sentences(cls)
        yield f"Version {cls.version}."
        yield _fields(cls)
        yield _example(entry, "data")


def _market(examples: list[dict[str, str]]) -> Iterable[str]:
    for name, cls in MARKET.items():
        entry = next(one for one in examples if one["family"] == "md" and one["name"] == name)
        yield f"### {name}"
        yield _sentences(cls)
        yield _fields(cls)
        yield _example(entry, "d")


def _sentences(cls: type[msgspec.Struct]) -> str:
    return inspect.cleandoc(cls.__doc__ or "")


def _fields(cls: type[msgspec.Struct]) -> str:
    hints = get_type_hints(cls)
    shown = [
        (
            code(field.encode_name)
            if field.encode_name == field.name
            else f"`{field.encode_name}` ({field.name})",
            words(hints[field.name]),
            _default(field),
            meaning(cls.__name__, field.name),
        )
        for field in msgspec.structs.fields(cls)
    ]
    return table(("field", "type", "default", "meaning"), shown)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return ""
    default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
    return code(json.dumps(default, default=str))


def _example(entry: dict[str, str], body: str) -> str:
    """Show an entry as a server does, its JSON laid out for people."""
    lines = [f"{name}: {value}" for name, value in entry.items() if name not in ("family", "name", body)]
    data: Any = json.loads(entry[body])
    return block("\n".join((*lines, f"{body}: {json.dumps(data, indent=2)}")), "yaml")
