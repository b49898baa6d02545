"""What cannot be read becomes a typed error that names what is wrong, never a crash."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec
import pytest
from golden_messages import MESSAGES

from bus.codec import Message, MessageCodec, market_message
from bus.control_messages import CONTROL_MESSAGES, Halt
from bus.errors import Unreadable
from bus.events import EVENTS
from bus.market_messages import Bar, GapClosed, GapOpened, Quote, Trade
from bus.order_messages import REQUESTS, CancelRequest, OrderRequest, OrderTerms

CODEC = MessageCodec(REQUESTS)
CANCEL = CancelRequest(client_order_id="bb-a-1", lease="1:x", requested_ns=5)


def fields(kind: bytes, version: bytes, data: bytes) -> dict[bytes, bytes]:
    return {b"type": kind, b"version": version, b"data": data}


def test_a_message_is_readable_json_with_its_name_and_version() -> None:
    kind, version, data = CODEC.encode(CANCEL)
    assert (kind, version) == (b"CancelRequest", b"1")
    assert data == b'{"client_order_id":"bb-a-1","lease":"1:x","requested_ns":5}'


def test_decimals_are_written_as_text_and_stay_exact() -> None:
    terms = OrderTerms(symbol="BTC/USD", side="buy", quantity=Decimal("0.123456789"))
    request = OrderRequest(
        client_order_id="c", terms=terms, lease="1:x", trigger="t", received_ns=1, requested_ns=2
    )
    kind, version, data = CODEC.encode(request)
    assert b'"quantity":"0.123456789"' in data
    decoded = CODEC.decode(fields(kind, version, data))
    assert decoded == request
    assert str(decoded.terms.quantity) == "0.123456789"  # type: ignore[attr-defined]


def test_fields_that_a_newer_writer_added_are_passed_by() -> None:
    data = b'{"client_order_id":"bb-a-1","lease":"1:x","requested_ns":5,"new":{"deep":[1]}}'
    assert CODEC.decode(fields(b"CancelRequest", b"1", data)) == CANCEL


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "an entry of type ''"),
        (fields(b"Nonsense", b"1", b"{}"), "type 'Nonsense' and version '1'; known here: OrderRequest"),
        (fields(b"CancelRequest", b"2", b"{}"), "version '2'"),
        (fields(b"\xff\xfe", b"1", b"{}"), "an entry of type"),
        (fields(b"Halt", b"1", b"{}"), "an entry of type 'Halt'"),
        (fields(b"CancelRequest", b"1", b""), "CancelRequest: "),
        (fields(b"CancelRequest", b"1", b"{"), "CancelRequest: "),
        (fields(b"CancelRequest", b"1", b"[]"), "CancelRequest: Expected `object`, got `array`"),
        (fields(b"CancelRequest", b"1", b"{}"), "missing required field `client_order_id`"),
        (fields(b"CancelRequest", b"1", b'{"client_order_id":1}'), "`$.client_order_id`"),
        (fields(b"CancelRequest", b"1", b'{"client_order_id":"\xff"}'), "CancelRequest: "),
        (fields(b"CancelRequest", b"1", b'{"x":' + b"[" * 100_000), "CancelRequest: "),
        ({b"type": b"CancelRequest", b"version": b"1"}, "CancelRequest: "),
    ],
)
def test_what_cannot_be_read_says_why(entry: dict[bytes, bytes], said: str) -> None:
    with pytest.raises(Unreadable) as raised:
        CODEC.decode(entry)
    assert said in str(raised.value)


@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_numbers_without_end_are_unreadable_and_named(number: str) -> None:
    data = (
        b'{"client_order_id":"c","terms":{"symbol":"A","side":"buy","quantity":"%s"},"lease":"l",'
        b'"trigger":"t","received_ns":1,"requested_ns":2}' % number.encode()
    )
    with pytest.raises(Unreadable, match=r"terms\.quantity is not a finite number"):
        CODEC.decode(fields(b"OrderRequest", b"1", data))


def decimals(message: Message, before: str = "") -> Iterator[str]:
    """Where a message has a decimal, in parts of it too."""
    for name, value in msgspec.structs.asdict(message).items():
        if isinstance(value, Decimal):
            yield before + name
        elif isinstance(value, Message):
            yield from decimals(value, f"{before}{name}.")


def test_every_number_of_every_event_is_looked_at() -> None:
    codec, places = MessageCodec(EVENTS), set()
    for event in MESSAGES:
        for place in decimals(event) if isinstance(event, EVENTS) else ():
            kind, version, data = codec.encode(event)
            told = msgspec.json.decode(data)
            *way, last = place.split(".")
            inside = told
            for name in way:
                inside = inside[name]
            inside[last] = "-Infinity"
            with pytest.raises(Unreadable, match=rf"{event.wire}: {place} is not a finite number"):
                codec.read(kind, version, msgspec.json.encode(told))
            places.add(place)
    assert {"basis.price", "terms.quantity", "outcome.left", "quantity"} <= places


def test_a_long_type_does_not_make_a_long_sentence() -> None:
    with pytest.raises(Unreadable) as raised:
        MessageCodec(CONTROL_MESSAGES).decode(fields(b"x" * 10_000, b"1", b"{}"))
    assert len(str(raised.value)) < 300


def test_every_message_is_in_its_family() -> None:
    for family, names in (
        (REQUESTS, "OrderRequest CancelRequest ReplaceRequest ShutdownAcknowledged"),
        (
            EVENTS,
            "Registered OrderApproved OrderRefused OrdersRefused OrderSent LegFound OrderUncertain "
            "OrderUpdated OrderFilled FillAbsorbed ExternalOrderFound OrderNotUnderstood Booked CashOpened "
            "ActivityHeard CashDiffers CashAgrees Reconciled CorporateActionTaken Declined "
            "HaltsRead HaltTriggered HaltLifted TradingDayBegun PositionDiffers PositionNotUnderstood "
            "PositionAgrees PositionUnprotected PositionProtected CancelRefused EntryDeadLettered "
            "LeaseRetired AccountPinned JournalSetAside ChainBegun JournalForked OrdersPutAway "
            "OrdersCanceled FlattenBegun SymbolFlattenEnded FlattenEnded LimitsChanged "
            "LimitsSet RefusedInShadow",
        ),
        (
            CONTROL_MESSAGES,
            "Halt ReduceOnly Resume CancelOrders Flatten Shutdown "
            "Reconcile AssignPosition TakeCorporateAction SetLimit UnsetLimit LoadLimits",
        ),
    ):
        assert [cls.__name__ for cls in family] == names.split()
    halt = Halt(scope="all", reason="r", by="me", at_ns=1)
    codec = MessageCodec(CONTROL_MESSAGES)
    assert codec.decode(fields(*codec.encode(halt))) == halt


TRADE = b'{"S":"AAPL","p":187.120000001,"s":100,"t":1700000000000000001,"i":7,"x":"V","c":["@"],"z":"C"}'


def test_market_entries_are_alpacas_json_with_exact_prices() -> None:
    trade = market_message("trades", {b"d": TRADE, b"r": b"1"})
    assert trade == Trade(
        symbol="AAPL",
        price=Decimal("187.120000001"),
        size=Decimal(100),
        at_ns=1700000000000000001,
        id=7,
        exchange="V",
        conditions=("@",),
        tape="C",
    )
    quote = b'{"S":"AAPL","bp":1.1,"bs":2,"ap":1.2,"as":3,"t":4}'
    assert isinstance(market_message("quotes", {b"d": quote}), Quote)
    bar = b'{"S":"AAPL","o":1,"h":2,"l":1,"c":2,"v":10,"t":4}'
    for channel in ("bars", "updatedBars", "dailyBars"):
        assert isinstance(market_message(channel, {b"d": bar, b"v": b"1"}), Bar)


def test_gaps_stand_in_any_channel() -> None:
    opened = {b"type": b"GapOpened", b"d": b'{"feed":"iex","since_ns":1,"reason":"cut"}'}
    closed = {b"type": b"GapClosed", b"d": b'{"feed":"iex","since_ns":1,"until_ns":2}'}
    assert market_message("news", opened) == GapOpened(feed="iex", since_ns=1, reason="cut")
    assert market_message("trades", closed) == GapClosed(feed="iex", since_ns=1, until_ns=2)


@pytest.mark.parametrize(
    ("channel", "entry"),
    [
        ("lulds", {b"d": b"{}"}),
        ("trades", {}),
        ("trades", {b"d": b""}),
        ("trades", {b"d": b"{}"}),
        ("trades", {b"d": TRADE, b"v": b"2"}),
        ("trades", {b"d": TRADE, b"type": b"Nonsense"}),
        ("trades", {b"d": TRADE.replace(b"187.120000001", b'"dear"')}),
        ("trades", {b"d": b'{"x":' + b"[" * 100_000}),
        ("quotes", {b"d": TRADE}),
        ("trades", {b"type": b"GapOpened", b"d": b"{}"}),
    ],
)
def test_a_market_entry_that_cannot_be_read_is_said(channel: str, entry: dict[bytes, bytes]) -> None:
    with pytest.raises(Unreadable, match="market entry"):
        market_message(channel, entry)
