"""Every message survives its way through a stream, and no bytes crash a reader."""

import contextlib
import typing
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import streams
from bus.codec import Message, MessageCodec, market_message
from bus.control_messages import CONTROL_MESSAGES
from bus.errors import InvalidInput, Unreadable
from bus.events import EVENTS
from bus.order_messages import REQUESTS

pytestmark = pytest.mark.property

# As Alpaca names them.
CHANNELS = ("trades", "quotes", "bars", "updatedBars", "dailyBars", "statuses", "lulds", "orderbooks", "news")

FAMILIES = (REQUESTS, EVENTS, CONTROL_MESSAGES)
ALL = [cls for family in FAMILIES for cls in family]

# What Alpaca and the books use at most: nine places, and more money than there is.
DECIMALS = st.decimals(
    min_value=Decimal("-1e15"), max_value=Decimal("1e15"), places=9, allow_nan=False, allow_infinity=False
)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
NANOSECONDS = st.integers(-(2**63), 2**63 - 1)


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type."""
    if typing.get_origin(kind) is typing.Literal:
        return st.sampled_from(typing.get_args(kind))
    if typing.get_origin(kind) is tuple:
        return st.lists(values_of(typing.get_args(kind)[0]), max_size=3).map(tuple)
    if typing.get_origin(kind) is dict:
        return st.dictionaries(*(values_of(argument) for argument in typing.get_args(kind)), max_size=3)
    if kind is Any:
        return TEXT | st.booleans() | st.lists(TEXT, max_size=2)
    if arguments := typing.get_args(kind):
        return st.one_of(*(values_of(argument) for argument in arguments))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return messages(kind)
    simple = {Decimal: DECIMALS, str: TEXT, int: NANOSECONDS, bool: st.booleans(), type(None): st.none()}
    return simple[kind]


def messages(cls: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Messages of one class, or parts of one, every field drawn."""
    hints = typing.get_type_hints(cls)
    return st.builds(
        cls, **{field.name: values_of(hints[field.name]) for field in msgspec.structs.fields(cls)}
    )


def family_of(cls: type[Message]) -> MessageCodec:
    return next(MessageCodec(family) for family in FAMILIES if cls in family)


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_message_comes_back_as_it_was(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(messages(cls))
    codec = family_of(cls)
    kind, version, encoded = codec.encode(message)
    assert codec.decode({b"type": kind, b"version": version, b"data": encoded}) == message


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from([cls.__name__.encode() for cls in ALL]) | st.binary(max_size=20),
    version=st.sampled_from([b"1", b"2", b""]) | st.binary(max_size=3),
    data=st.binary(max_size=60) | st.text(max_size=60).map(str.encode),
)
def test_no_bytes_crash_a_reader(kind: bytes, version: bytes, data: bytes) -> None:
    for family in FAMILIES:
        with contextlib.suppress(Unreadable):
            message = MessageCodec(family).decode({b"type": kind, b"version": version, b"data": data})
            assert isinstance(message, Message)


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_damaged_message_is_unreadable_or_another_but_no_crash(data: st.DataObject) -> None:
    cls = data.draw(st.sampled_from(ALL))
    codec = family_of(cls)
    kind, version, encoded = codec.encode(data.draw(messages(cls)))
    at = data.draw(st.integers(0, len(encoded) - 1))
    damaged = encoded[:at] + data.draw(st.binary(max_size=2)) + encoded[at + 1 :]
    with contextlib.suppress(Unreadable):
        assert isinstance(codec.decode({b"type": kind, b"version": version, b"data": damaged}), cls)


@settings(max_examples=150, deadline=None)
@given(
    channel=st.sampled_from([*CHANNELS, "unknown"]),
    entry=st.dictionaries(st.sampled_from([b"d", b"r", b"type", b"v", b"feed"]), st.binary(max_size=40)),
)
def test_no_bytes_crash_a_reader_of_market_data(channel: str, entry: dict[bytes, bytes]) -> None:
    with contextlib.suppress(Unreadable):
        market_message(channel, entry)


SYMBOLS = st.from_regex(r"[A-Z0-9][A-Z0-9.]{0,15}(/[A-Z0-9]{1,10})?", fullmatch=True)


@given(symbol=SYMBOLS | st.sampled_from(["BTC/USD", "BRK.B"]), channel=st.sampled_from(CHANNELS))
def test_the_channel_can_be_read_from_every_stream_name(symbol: str, channel: str) -> None:
    assert streams.market_channel(streams.market(symbol, channel)) == channel
    partition = streams.market_all(channel, symbol)
    assert streams.market_channel(partition) == channel
    assert partition in streams.market_all_partitions(channel)


@given(name=st.text(max_size=40))
def test_a_name_is_allowed_or_refused_with_a_sentence(name: str) -> None:
    allowed = 1 <= len(name) <= 32 and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    if allowed and name not in ("oms", "external"):
        assert streams.checked_name(name) == name
    else:
        with pytest.raises(InvalidInput):
            streams.checked_name(name)
