"""Client order ids: the same trigger makes the same id, anything else another."""

import re

from bus.order_id import client_order_id

LIFE = "0123456789abcdef"


def test_the_form_fits_what_alpaca_takes() -> None:
    made = client_order_id("ma-cross", LIFE, "md:AAPL:trades 1-0", b"{}", 0)
    assert re.fullmatch(r"bb-ma-cross-[0-9a-f]{32}", made)
    assert len(client_order_id("a" * 32, LIFE, "t", b"", 0)) <= 128


def test_a_redelivered_trigger_makes_the_same_id() -> None:
    first, second = (client_order_id("a", LIFE, "md:AAPL:trades 1-0", b"{}", 3) for _ in range(2))
    assert first == second


def test_everything_that_identifies_an_order_changes_its_id() -> None:
    made = {
        client_order_id("a", LIFE, "t 1-0", b"{}", 0),
        client_order_id("b", LIFE, "t 1-0", b"{}", 0),
        client_order_id("a", "another life", "t 1-0", b"{}", 0),
        client_order_id("a", LIFE, "t 1-1", b"{}", 0),
        client_order_id("a", LIFE, "t 1-0", b"{ }", 0),
        client_order_id("a", LIFE, "t 1-0", b"{}", 1),
    }
    assert len(made) == 6


def test_parts_do_not_run_into_each_other() -> None:
    assert client_order_id("a", "xy", "z", b"", 0) != client_order_id("a", "x", "yz", b"", 0)
