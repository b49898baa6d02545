"""What the golden entries of a release mean to today's code, and how entries for new messages are added.

`tests/bus/golden/messages-<version>.jsonl` holds entries as that release wrote them. They are never changed:
a later version that cannot read them as they are needs an upcast. Run this file to append an entry for each
message that has none yet; the values below are what it must then be read as.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec

from bus.account_messages import (
    AccountPinned,
    HaltsRead,
    JournalSetAside,
    OrdersCanceled,
    PositionAgrees,
    PositionDiffers,
    PositionNotUnderstood,
)
from bus.book_messages import (
    ActivityHeard,
    Booked,
    CashAgrees,
    CashDiffers,
    CashOpened,
    CorporateActionTaken,
    Declined,
    Difference,
    Reconciled,
)
from bus.codec import Message, MessageCodec, market_message
from bus.control_messages import (
    CONTROL_MESSAGES,
    AssignPosition,
    CancelOrders,
    Flatten,
    Halt,
    Reconcile,
    ReduceOnly,
    Resume,
    Shutdown,
    TakeCorporateAction,
)
from bus.events import EVENTS
from bus.flatten_messages import (
    FlattenBegun,
    FlattenEnded,
    FlattenOutcome,
    SymbolFlattenEnded,
)
from bus.halt_messages import HaltLifted, HaltTriggered, TradingDayBegun
from bus.journal_messages import ChainBegun, JournalForked, OrdersPutAway
from bus.limit_messages import (
    LimitChange,
    LimitsChanged,
    LimitsSet,
    LoadLimits,
    RefusedInShadow,
    SetLimit,
    UnsetLimit,
)
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
from bus.order_events import (
    Basis,
    CancelRefused,
    EntryDeadLettered,
    ExternalOrderFound,
    FillAbsorbed,
    LeaseRetired,
    LegFound,
    OrderApproved,
    OrderFilled,
    OrderNotUnderstood,
    OrderRefused,
    OrderSent,
    OrdersRefused,
    OrderUncertain,
    OrderUpdated,
    PositionProtected,
    PositionUnprotected,
    RefusedOrder,
    Registered,
)
from bus.order_messages import (
    REQUESTS,
    CancelRequest,
    OrderRequest,
    OrderTerms,
    Reason,
    ReplaceRequest,
    ShutdownAcknowledged,
)

GOLDEN = Path(__file__).parents[1] / "bus" / "golden" / "messages-0.1.0.jsonl"
DEFAULTS = GOLDEN.with_name("defaults.json")

FAMILIES: dict[str, tuple[type[Message], ...]] = {
    "requests": REQUESTS,
    "events": EVENTS,
    "control": CONTROL_MESSAGES,
}

_AT_NS = 1_700_000_000_123_456_789
_LIMIT = OrderTerms(
    symbol="AAPL",
    side="buy",
    type="limit",
    time_in_force="gtc",
    quantity=Decimal("10"),
    limit_price=Decimal("187.12"),
    extended_hours=True,
)
_NOTIONAL = OrderTerms(symbol="BTC/USD", side="sell", notional=Decimal("0.000000001"))
_BASIS = Basis(
    price=Decimal("187.00"),
    price_at_ns=_AT_NS - 1000,
    price_received_ns=_AT_NS - 900,
    limits_version=3,
    halt="reduce_only",
    control_fresh=True,
    not_ready="catching_up",
    lease="7:algo-ma-cross",
    reserve_price=Decimal("187.12"),
    price_feed="iex",
)
_REASON = Reason(code="order_notional", message="too large an order", limit="10000", value="18712.00")

# One message of each class, every field set to something that is not its default where it has one.
MESSAGES: tuple[Message, ...] = (
    OrderRequest(
        client_order_id="bb-ma-cross-1",
        terms=_LIMIT,
        lease="7:algo-ma-cross-1",
        trigger="md:AAPL:trades 1700000000123-0",
        received_ns=_AT_NS,
        requested_ns=_AT_NS + 1,
    ),
    CancelRequest(client_order_id="bb-ma-cross-1", lease="7:algo-ma-cross-1", requested_ns=_AT_NS),
    ReplaceRequest(
        client_order_id="bb-ma-cross-2",
        replaces="bb-ma-cross-1",
        terms=_NOTIONAL,
        lease="7:algo-ma-cross-1",
        trigger="timer close 1700000000000000000",
        received_ns=_AT_NS,
        requested_ns=_AT_NS + 1,
    ),
    ShutdownAcknowledged(lease="7:algo-ma-cross-1", at_ns=_AT_NS),
    Registered(algorithm="ma-cross", at_ns=_AT_NS),
    OrderApproved(
        algorithm="ma-cross",
        client_order_id="bb-ma-cross-2",
        terms=_LIMIT,
        reserve_price=Decimal("187.12"),
        trigger="md:AAPL:trades 1700000000123-0",
        received_ns=_AT_NS,
        requested_ns=_AT_NS + 1,
        approved_ns=_AT_NS + 2,
        replaces="bb-ma-cross-1",
        basis=_BASIS,
    ),
    OrderRefused(
        algorithm="ma-cross",
        client_order_id="bb-ma-cross-1",
        by="risk",
        reasons=(_REASON, Reason(code="halted", message="halted by alice: lunch")),
        at_ns=_AT_NS,
        terms=_LIMIT,
        basis=_BASIS,
    ),
    OrdersRefused(
        algorithm="ma-cross",
        by="risk",
        reasons=(_REASON,),
        orders=(RefusedOrder("bb-ma-cross-2", _LIMIT), RefusedOrder("bb-ma-cross-3")),
        first_requested_ns=_AT_NS - 2,
        last_requested_ns=_AT_NS - 1,
        at_ns=_AT_NS,
    ),
    HaltTriggered(
        scope="algorithm:ma-cross",
        code="day_loss",
        reason="the day's loss is 5000.01 dollars; the limit is 5000",
        limit="5000",
        value="5000.01",
        at_ns=_AT_NS,
    ),
    HaltLifted(scope="algorithm:ma-cross", code="day_loss", loss={"shares": Decimal("5100.5")}, at_ns=_AT_NS),
    TradingDayBegun(
        market="shares",
        day="2026-11-30",
        account=Decimal("-12.5"),
        algorithms={"ma-cross": Decimal("-12.5")},
        unpriced=("GME",),
        at_ns=_AT_NS,
    ),
    OrderSent(
        algorithm="ma-cross",
        client_order_id="bb-ma-cross-1",
        broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d",
        approved_ns=_AT_NS,
        sent_ns=_AT_NS + 1,
        acknowledged_ns=_AT_NS + 2,
    ),
    OrderUncertain(algorithm="ma-cross", client_order_id="bb-ma-cross-1", why="no answer", at_ns=_AT_NS),
    OrderUpdated(
        algorithm="ma-cross",
        client_order_id="bb-ma-cross-1",
        broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d",
        symbol="AAPL",
        event="replaced",
        status="replaced",
        filled_quantity=Decimal("2.5"),
        at_ns=_AT_NS,
        replaced_by="bb-ma-cross-2",
    ),
    OrderFilled(
        algorithm="ma-cross",
        client_order_id="bb-ma-cross-1",
        broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d",
        execution_id="e-1",
        symbol="AAPL",
        side="buy",
        quantity=Decimal("2.5"),
        price=Decimal("187.1199"),
        filled_quantity=Decimal("5"),
        status="partially_filled",
        at_ns=_AT_NS,
    ),
    CancelRefused(algorithm="ma-cross", client_order_id="bb-ma-cross-1", reason=_REASON, at_ns=_AT_NS),
    FillAbsorbed(
        algorithm="ma-cross",
        client_order_id="bb-ma-cross-1",
        execution_id="e-2",
        quantity=Decimal("2.5"),
        filled_quantity=Decimal("7.5"),
        at_ns=_AT_NS,
    ),
    ExternalOrderFound(
        algorithm="external",
        client_order_id="by-hand",
        broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d",
        symbol="AAPL",
        side="sell",
        type="trailing_stop",
        time_in_force="gtc",
        status="sent",
        quantity=Decimal("2.5"),
        notional=Decimal("500"),
        limit_price=Decimal("187.12"),
        stop_price=Decimal("180"),
        reserve_price=Decimal("187.12"),
        at_ns=_AT_NS,
    ),
    OrderNotUnderstood(
        algorithm="external",
        client_order_id="spread-1",
        broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d",
        error="an order of Alpaca's: Expected `str`, got `null` - at `$.symbol`",
        at_ns=_AT_NS,
    ),
    Booked(
        algorithm="ma-cross",
        kind="assigned",
        symbol="BTC/USD",
        quantity=Decimal("-0.5"),
        price=Decimal("100.250626566"),
        cash=Decimal("50.125313283"),
        reference="1700000000123-0",
        reason="mean-reversion takes over",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    CashOpened(cash=Decimal("100000.12"), activities=("20231114221320000::a",), at_ns=_AT_NS),
    ActivityHeard(
        activity_id="20231114221320000::b",
        type="CFEE",
        symbol="BTC/USD",
        description="Coin Pair Transaction Fee (Non USD)",
        at_ns=_AT_NS,
    ),
    CashDiffers(booked=Decimal("100000.12"), at_broker=Decimal("100001.62"), at_ns=_AT_NS),
    CashAgrees(at_ns=_AT_NS),
    Reconciled(
        entry_id="1700000000123-0",
        agrees=False,
        accepted=(Difference(what="AAPL", booked=Decimal(0), at_broker=Decimal(5)),),
        differences=(Difference(what="cash", booked=Decimal("100000.12"), at_broker=Decimal("100001.62")),),
        reason="bought by hand",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    CorporateActionTaken(
        entry_id="1700000000123-0",
        symbol="AAPL",
        new_symbol="AAPL",
        new=4,
        old=1,
        holders=("external", "ma-cross"),
        reason="split of today",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    Declined(entry_id="1700000000123-0", why="external holds 3 AAPL", by="ann@desk", at_ns=_AT_NS),
    PositionDiffers(symbol="BTC/USD", booked=Decimal("0.5"), at_broker=Decimal("0.49875"), at_ns=_AT_NS),
    PositionNotUnderstood(symbol="AAPL", error="Expected `decimal`, got `null` - at `$.qty`", at_ns=_AT_NS),
    PositionAgrees(symbol="BTC/USD", at_ns=_AT_NS),
    LegFound(
        algorithm="ma-cross",
        client_order_id="5f7e0c3a-made-by-the-broker",
        broker_order_id="61e69015-8549-4bfd-b9c3-01e75843f47d",
        parent="bb-ma-cross-1",
        role="stop_loss",
        terms=OrderTerms(
            symbol="AAPL",
            side="sell",
            type="stop_limit",
            quantity=Decimal("10"),
            stop_price=Decimal("180"),
            limit_price=Decimal("179.5"),
        ),
        status="held",
        at_ns=_AT_NS,
    ),
    PositionUnprotected(
        algorithm="ma-cross",
        symbol="AAPL",
        quantity=Decimal("4"),
        client_order_id="bb-ma-cross-1",
        why="its stop-loss 5f7e0c3a-made-by-the-broker is canceled",
        at_ns=_AT_NS,
    ),
    PositionProtected(algorithm="ma-cross", symbol="AAPL", at_ns=_AT_NS),
    LeaseRetired(algorithm="ma-cross", lease="7:algo-ma-cross", at_ns=_AT_NS),
    AccountPinned(number="PA3JKX1P5QWE", trading="live", at_ns=_AT_NS),
    JournalSetAside(
        kept_as="PA3JKX1P5QWE-20231114T221320Z",
        reason="the paper account was reset",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    ChainBegun(after_id="1700000000123-4", reason="its entries had no hashes", by="oms", at_ns=_AT_NS),
    OrdersPutAway(day="2023-11-15", kept=("bb-ma-cross-0f3a",), at_ns=_AT_NS),
    JournalForked(after_id="1700000000123-4", until_id="1700000000456-0", until_hash="5c" * 32, at_ns=_AT_NS),
    LimitsChanged(
        limits_version=3,
        limits={"account": {"order_quantity": "1000", "restricted": ["GME"]}, "symbol": {}},
        source="limits.toml",
        by="alice",
        at_ns=_AT_NS,
    ),
    HaltsRead(
        known=True,
        scopes={"all": Halt(scope="all", reason="lunch", by="alice", at_ns=_AT_NS)},
        at_ns=_AT_NS,
    ),
    EntryDeadLettered(
        stream="account:{paper}",
        entry_id="1700000000123-0",
        error="not JSON",
        payload="data=\\xff",
        at_ns=_AT_NS,
    ),
    Halt(scope="all", reason="lunch", by="alice", at_ns=_AT_NS),
    ReduceOnly(scope="symbol:BTC/USD", reason="spread", by="alice", at_ns=_AT_NS),
    Resume(scope="algorithm:ma-cross", reason="back", by="bob", at_ns=_AT_NS),
    CancelOrders(scope="symbol:AAPL", reason="halted by the exchange", by="bob", at_ns=_AT_NS),
    Reconcile(
        account="paper",
        accept=("AAPL", "cash"),
        accept_all=True,
        reason="bought by hand",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    AssignPosition(
        account="paper",
        symbol="AAPL",
        quantity=Decimal("2.5"),
        giver="external",
        taker="ma-cross",
        reason="it takes over",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    TakeCorporateAction(
        account="paper",
        symbol="FB",
        new_symbol="META",
        new=4,
        old=1,
        reason="renamed",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    SetLimit(
        account="paper",
        section="algorithm.ma-cross",
        name="order_value",
        value="20000",
        shadow=False,
        loosen=True,
        reason="earnings are over",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    UnsetLimit(
        account="paper",
        section="symbol.BTC/USD",
        name="order_quantity",
        shadow=True,
        loosen=False,
        reason="seen enough",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    LoadLimits(
        account="paper",
        limits={"account": {"order_value": "20000", "restricted": ["GME"]}},
        source="limits.toml",
        loosen=False,
        reason="the new plan",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    LimitsSet(
        entry_id="1700000000123-0",
        limits_version=4,
        changes=(
            LimitChange(
                section="account",
                name="restricted",
                mode="set",
                before=None,
                value=["GME"],
                in_file=None,
            ),
            LimitChange(
                section="account",
                name="order_value",
                mode="taken_back",
                before="20000",
                value="50000",
                in_file="50000",
            ),
        ),
        source="limits.toml",
        reason="the new plan",
        by="ann@desk",
        at_ns=_AT_NS,
    ),
    RefusedInShadow(
        section="account",
        name="order_value",
        whose="ma-cross",
        orders=12,
        first_order_id="bb-ma-cross-1",
        last_order_id="bb-ma-cross-9",
        reason=Reason(code="order_value", message="too much", limit="100", value="101"),
        since_ns=_AT_NS,
        at_ns=_AT_NS + 1,
    ),
    OrdersCanceled(
        entry_id="1700000000123-0",
        scope="symbol:AAPL",
        reason="halted by the exchange",
        by="bob",
        orders=("bb-ma-cross-1", "by-hand"),
        at_ns=_AT_NS,
    ),
    Flatten(scope="account:paper", reason="out of it", by="bob", at_ns=_AT_NS),
    FlattenBegun(
        entry_id="1700000000123-0",
        scope="account:paper",
        reason="out of it",
        by="bob",
        orders=("bb-ma-cross-1", "by-hand"),
        positions={"ma-cross": {"AAPL": Decimal("10")}, "external": {"AAPL": Decimal("-4")}},
        prices={"AAPL": Decimal("187.12")},
        at_ns=_AT_NS,
    ),
    SymbolFlattenEnded(
        entry_id="1700000000123-0",
        outcome=FlattenOutcome(symbol="AAPL", left=Decimal("1.5"), why="the order was refused: not tradable"),
        at_ns=_AT_NS,
    ),
    FlattenEnded(
        entry_id="1700000000123-0",
        scope="account:paper",
        outcomes=(FlattenOutcome(symbol="MSFT", left=Decimal(0)),),
        at_ns=_AT_NS,
    ),
    Shutdown(scope="account:paper", reason="over", by="bob", at_ns=_AT_NS),
)

# Market entries by their name in the file: a channel, or a gap marker.
MARKET: dict[str, Any] = {
    "trades": Trade(
        symbol="AAPL",
        price=Decimal("187.120000001"),
        size=Decimal("100"),
        at_ns=_AT_NS,
        id=52983525029461,
        exchange="V",
        conditions=("@",),
        tape="C",
    ),
    "quotes": Quote(
        symbol="BTC/USD",
        bid_price=Decimal("36000.1"),
        bid_size=Decimal("0.25"),
        ask_price=Decimal("36000.2"),
        ask_size=Decimal("1"),
        at_ns=_AT_NS,
    ),
    "bars": Bar(
        symbol="AAPL",
        open=Decimal("187"),
        high=Decimal("187.5"),
        low=Decimal("186.99"),
        close=Decimal("187.12"),
        volume=Decimal("12345"),
        vwap=Decimal("187.1"),
        trade_count=7,
        at_ns=_AT_NS,
    ),
    "updatedBars": UpdatedBar(
        symbol="AAPL",
        open=Decimal("187"),
        high=Decimal("187.5"),
        low=Decimal("186.99"),
        close=Decimal("187.13"),
        volume=Decimal("12445"),
        vwap=Decimal("187.1002"),
        trade_count=8,
        at_ns=_AT_NS,
    ),
    "dailyBars": DailyBar(
        symbol="BTC/USD",
        open=Decimal("36000.1"),
        high=Decimal("36100"),
        low=Decimal("35900"),
        close=Decimal("36000.2"),
        volume=Decimal("0.25"),
        at_ns=_AT_NS,
    ),
    "lulds": PriceBand(
        symbol="AAPL",
        limit_up=Decimal("196.48"),
        limit_down=Decimal("177.76"),
        indicator="B",
        at_ns=_AT_NS,
        tape="C",
    ),
    "imbalances": Imbalance(symbol="AAPL", price=Decimal("187.12"), at_ns=_AT_NS, tape="C"),
    "orderbooks": OrderBook(
        symbol="BTC/USD",
        bids=(Level(Decimal("36000.1"), Decimal("0.25")), Level(Decimal(36000), Decimal(0))),
        asks=(Level(Decimal("36000.2"), Decimal("1.5")),),
        resets=True,
        at_ns=_AT_NS,
    ),
    "news": News(
        id=24803233,
        headline="Apple opens a plant",
        summary="It does.",
        author="Ada Reuter",
        content="<p>It does.</p>",
        url="https://news.example/24803233",
        symbols=("AAPL", "BTC/USD"),
        source="benzinga",
        created_at_ns=_AT_NS,
        updated_at_ns=_AT_NS,
    ),
    "statuses": TradingStatus(
        symbol="AAPL",
        code="P",
        meaning="Volatility Trading Pause",
        reason_code="LUDP",
        reason="Volatility Trading Pause",
        at_ns=_AT_NS,
        tape="C",
    ),
    "corrections": Correction(
        symbol="AAPL",
        exchange="V",
        original_id=7,
        original_price=Decimal("187.5"),
        original_size=Decimal(100),
        id=8,
        price=Decimal("187.25"),
        size=Decimal(100),
        conditions=("@",),
        tape="C",
        at_ns=_AT_NS,
    ),
    "cancelErrors": CanceledTrade(
        symbol="AAPL",
        exchange="V",
        id=7,
        price=Decimal("187.5"),
        size=Decimal(100),
        action="C",
        at_ns=_AT_NS,
    ),
    "snapshots": Snapshot(
        symbol="AAPL",
        trade=Trade(
            symbol="AAPL",
            price=Decimal("187.25"),
            size=Decimal(100),
            at_ns=_AT_NS,
            id=7,
            exchange="V",
            conditions=("@",),
            tape="C",
        ),
        quote=Quote(
            symbol="AAPL",
            bid_price=Decimal(187),
            bid_size=Decimal(1),
            ask_price=Decimal("187.5"),
            ask_size=Decimal(2),
            at_ns=_AT_NS,
            conditions=("R",),
        ),
    ),
    "GapOpened": GapOpened(feed="iex", since_ns=_AT_NS, reason="connection lost"),
    "GapClosed": GapClosed(feed="iex", since_ns=_AT_NS, until_ns=_AT_NS + 1),
}


def golden_entries(path: Path = GOLDEN) -> list[dict[str, str]]:
    """The entries of a release: family, type, version and data of each; `md` ones as in their stream."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def read(entry: dict[str, str]) -> Any:
    """What today's code makes of a golden entry."""
    fields = {name.encode(): text.encode() for name, text in entry.items() if name not in ("family", "name")}
    if entry["family"] == "md":
        return market_message(entry["name"], fields)
    return MessageCodec(FAMILIES[entry["family"]]).decode(fields)


def expected(entry: dict[str, str]) -> Any:
    """What a golden entry is to be read as; None where the tables above do not say."""
    if entry["family"] == "md":
        return MARKET.get(entry["name"])
    family = FAMILIES[entry["family"]]
    return next((one for one in MESSAGES if type(one) in family and one.wire == entry["type"]), None)


def without_entry(entries: list[dict[str, str]]) -> list[str]:
    """A sentence for each message of a family that has no golden entry, or no value to compare one with."""
    there = {(entry["family"], entry["type"]) for entry in entries if entry["family"] != "md"}
    made = {type(message) for message in MESSAGES}
    return [
        f"{cls.wire} ({family}) has no golden entry: add a value to MESSAGES in "
        "tests/support/golden_messages.py, then run that file"
        for family, classes in FAMILIES.items()
        for cls in classes
        if (family, cls.wire) not in there or cls not in made
    ]


def defaults() -> dict[str, Any]:
    """The default of each field of a message that has one, as JSON; these are left out of entries."""
    found: dict[str, Any] = {}
    left = [cls for classes in FAMILIES.values() for cls in classes]
    while left:
        cls = left.pop()
        for field in msgspec.structs.fields(cls):
            default = field.default
            if default is msgspec.NODEFAULT and field.default_factory is not msgspec.NODEFAULT:
                default = field.default_factory()
            if default is not msgspec.NODEFAULT:
                found[f"{cls.wire or cls.__name__}.{field.name}"] = msgspec.to_builtins(default)
            left += [one for one in _parts(field.type) if issubclass(one, Message)]
    return dict(sorted(found.items()))


def _parts(kind: Any) -> list[type]:
    """The classes that a type is made of."""
    inner = [part for one in get_args(kind) for part in _parts(one)]
    return [*inner, kind] if isinstance(kind, type) and not get_args(kind) else inner


def _append_missing() -> None:
    there = {(entry["family"], entry["type"]) for entry in golden_entries() if entry["family"] != "md"}
    with GOLDEN.open("a") as file:
        for family, classes in FAMILIES.items():
            codec = MessageCodec(classes)
            for message in MESSAGES:
                if type(message) in classes and (family, message.wire) not in there:
                    kind, version, data = (part.decode() for part in codec.encode(message))
                    entry = {"family": family, "type": kind, "version": version, "data": data}
                    file.write(json.dumps(entry) + "\n")


if __name__ == "__main__":
    _append_missing()
    recorded = json.loads(DEFAULTS.read_text()) if DEFAULTS.exists() else {}
    DEFAULTS.write_text(json.dumps(dict(sorted((defaults() | recorded).items())), indent=1) + "\n")
