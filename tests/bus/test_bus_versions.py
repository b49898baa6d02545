"""Entries of older versions are brought up to date, those of newer ones kept; class names do not count."""

import json
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from golden_messages import (
    DEFAULTS,
    FAMILIES,
    MARKET,
    defaults,
    expected,
    golden_entries,
    read,
    without_entry,
)

from bus.codec import Message, MessageCodec, UnknownMessage, whole
from bus.errors import Unreadable
from bus.events import EVENTS
from bus.order_events import OrderApproved, OrderRefused
from bus.order_messages import REQUESTS, OrderTerms, Reason
from bus.upcasts import UPCASTS, Upcast


class Renamed(Message, frozen=True, kw_only=True):
    """A message that was `Parcel` when its first entries were written, and has changed twice since."""

    wire: ClassVar[str] = "Parcel"
    version: ClassVar[int] = 3
    weight_g: int
    to: str


def _grams(data: dict[str, Any]) -> dict[str, Any]:
    return {"weight_g": data["kilograms"] * 1000, "to": data["to"]}


def _full_name(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "to": f"{data['to']} Smith"}


OLDER: dict[tuple[str, int], Upcast] = {("Parcel", 1): _grams, ("Parcel", 2): _full_name}


def entry(kind: bytes, version: bytes, data: bytes) -> dict[bytes, bytes]:
    return {b"type": kind, b"version": version, b"data": data}


@pytest.mark.parametrize(
    "written", golden_entries(), ids=lambda one: f"{one['family']} {one.get('type', one.get('name'))}"
)
def test_what_this_release_wrote_is_read_as_it_was_meant(written: dict[str, str]) -> None:
    meant = expected(written)
    assert meant is not None, f"tests/support/golden_messages.py does not say what {written} means"
    assert read(written) == meant


def test_every_message_has_a_golden_entry() -> None:
    assert without_entry(golden_entries()) == []
    assert {entry["name"] for entry in golden_entries() if entry["family"] == "md"} == set(MARKET)


def test_a_default_never_changes_for_entries_leave_it_out() -> None:
    """Whoever adds a field with a default runs `tests/support/golden_messages.py`, which records it."""
    assert json.loads(json.dumps(defaults())) == json.loads(DEFAULTS.read_text())


def test_what_is_left_out_depends_on_no_objects_identity() -> None:
    """An order that was read back from a snapshot is written as the one that was put into it."""
    left = set(Message.__subclasses__())
    while left:
        cls = left.pop()
        left |= set(cls.__subclasses__())
        for field in msgspec.structs.fields(cls) if cls.__module__.startswith("bus.") else ():
            if field.default is not msgspec.NODEFAULT:
                same_everywhere = any(field.default is one for one in (None, False, True, "", ()))
                assert same_everywhere, (
                    f"{cls.__name__}.{field.name}: write always_written({field.default!r})"
                )


def test_a_field_at_its_default_is_left_out_of_an_entry() -> None:
    terms = OrderTerms(symbol="AAPL", side="buy", type="market", quantity=Decimal(1))
    _, _, data = MessageCodec(EVENTS).encode(
        OrderApproved(
            algorithm="alpha",
            client_order_id="bb-alpha-1",
            terms=terms,
            reserve_price=Decimal(1),
            trigger="1-1",
            received_ns=1,
            requested_ns=2,
            approved_ns=3,
        )
    )
    written = b'"type":"market","time_in_force":"day","quantity":"1","order_class":"simple"'
    assert b'"terms":{"symbol":"AAPL","side":"buy",%b}' % written in data
    assert b"null" not in data


def test_every_message_has_a_wire_name_of_its_own_written_in_its_class() -> None:
    for name, family in FAMILIES.items():
        wires = [cls.wire for cls in family]
        assert len(set(wires)) == len(wires), f"{name}: two messages share a wire name: {sorted(wires)}"
        silent = [cls.__name__ for cls in family if "wire" not in cls.__dict__ or not cls.wire]
        assert silent == [], f"{name}: write `wire: ClassVar[str] = ...` into these classes"


def test_every_upcast_leads_to_the_present_version_and_every_older_version_has_one() -> None:
    versions = {cls.wire: cls.version for family in FAMILIES.values() for cls in family}
    assert set(UPCASTS) == {(wire, older) for wire, now in versions.items() for older in range(1, now)}


def test_a_renamed_class_keeps_its_name_in_streams() -> None:
    codec = MessageCodec((Renamed,), upcasts=OLDER)
    kind, version, data = codec.encode(Renamed(weight_g=1, to="Ann"))
    assert (kind, version) == (b"Parcel", b"3")
    assert codec.decode(entry(kind, version, data)) == Renamed(weight_g=1, to="Ann")
    with pytest.raises(Unreadable, match="type 'Renamed'"):
        codec.decode(entry(b"Renamed", b"3", data))


@pytest.mark.parametrize(
    ("version", "data"),
    [
        (b"1", b'{"kilograms":2,"to":"Ann"}'),
        (b"2", b'{"weight_g":2000,"to":"Ann"}'),
        (b"3", b'{"weight_g":2000,"to":"Ann Smith"}'),
    ],
)
def test_older_entries_are_brought_up_step_by_step(version: bytes, data: bytes) -> None:
    codec = MessageCodec((Renamed,), upcasts=OLDER)
    assert codec.decode(entry(b"Parcel", version, data)) == Renamed(weight_g=2000, to="Ann Smith")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"kilograms":[]}', b'{"kilograms":null,"to":"Ann"}'])
def test_an_older_entry_of_another_shape_is_unreadable(data: bytes) -> None:
    for keep_unknown in (False, True):
        codec = MessageCodec((Renamed,), upcasts=OLDER, keep_unknown=keep_unknown)
        with pytest.raises(Unreadable, match="Parcel: "):
            codec.decode(entry(b"Parcel", b"1", data))


@pytest.mark.parametrize(
    ("kind", "version"), [(b"Parcel", b"4"), (b"Letter", b"1"), (b"OrderHeld", b"12"), (b"Parcel", b"999")]
)
def test_what_is_newer_than_we_are_is_kept_and_written_back_as_it_was(kind: bytes, version: bytes) -> None:
    data = b'{ "new": [1.50, "\xc3\xa9"] }'
    codec = MessageCodec((Renamed,), upcasts=OLDER, keep_unknown=True)
    kept = codec.decode(entry(kind, version, data))
    assert kept == UnknownMessage(wire=kind.decode(), version=int(version), data=data)
    assert codec.encode(kept) == (kind, version, data)
    with pytest.raises(Unreadable, match=f"type '{kind.decode()}' and version '{version.decode()}'"):
        MessageCodec((Renamed,), upcasts=OLDER).decode(entry(kind, version, data))


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        (b"", b"1"),
        (b"\xff", b"1"),
        (b"two words", b"1"),
        (b"Letter", b""),
        (b"Letter", b"01"),
        (b"Letter", b"-1"),
        (b"Letter", b"0"),
        (b"Letter", b"9" * 5000),
        (b"Parcel", b"x"),
    ],
)
def test_what_no_version_would_write_is_unreadable_not_unknown(kind: bytes, version: bytes) -> None:
    with pytest.raises(Unreadable, match="an entry of type"):
        MessageCodec((Renamed,), keep_unknown=True).decode(entry(kind, version, b"{}"))


def test_a_version_that_nothing_brings_up_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="version '2'; known here: Parcel version 3"):
        MessageCodec((Renamed,), keep_unknown=True, upcasts={}).decode(entry(b"Parcel", b"2", b"{}"))
    with pytest.raises(Unreadable, match="an entry of type"):
        MessageCodec(EVENTS, keep_unknown=True).decode({b"type": b"Letter", b"version": b"1"})


def test_two_of_one_wire_name_and_one_without_are_refused_when_a_codec_is_made() -> None:
    for family in ((Renamed, Renamed), (Message,), (*REQUESTS, REQUESTS[0])):
        with pytest.raises(ValueError, match="a wire name of its own"):
            MessageCodec(family)


def test_for_people_and_scripts_a_message_has_all_its_fields() -> None:
    """What an entry leaves out, a command's --json has: `risk explain` raised where the feed was missing."""
    reason = Reason(code="halted", message="m")
    shown = whole(OrderRefused(algorithm="a", client_order_id="b", by="oms", reasons=(reason,), at_ns=1))
    assert set(shown) == set(OrderRefused.__struct_fields__)
    assert shown["reasons"] == [{"code": "halted", "message": "m", "limit": None, "value": None}]
    assert whole({"a": (Decimal("1.50"), None)}) == {"a": ["1.50", None]}
