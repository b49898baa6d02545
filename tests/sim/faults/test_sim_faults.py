"""Faults by name: every example works, invalid ones are named, and each ends when it should."""

import asyncio
from typing import Any

import pytest

from bus.errors import InvalidInput
from sim.clock import VirtualClock
from sim.faults import handshakes, messages, requests, subscriptions, updates
from sim.faults.faults import Faults
from sim.faults.kinds import KINDS, parse, parse_line
from sim.incidents.fault_switch import Effects, FaultSwitch
from sim.times import SECOND_NS


def on(*lines: str) -> Faults:
    faults = Faults()
    for line in lines:
        faults.turn_on(parse_line(line))
    return faults


def update(event: str = "fill") -> dict[str, Any]:
    order = {"id": "1", "status": "filled"}
    data = {"event": event, "order": order, "timestamp": "2026-01-05T14:30:00.000000001Z"}
    return {"stream": "trade_updates", "data": data}


@pytest.mark.parametrize("name", KINDS)
def test_every_example_is_a_fault_and_so_is_it_without_optional_fields(name: str) -> None:
    kind = KINDS[name]
    full = parse(dict(kind.example))
    short = parse({field: value for field, value in kind.example.items() if field not in kind.optional})
    assert list(full) == list(short)
    assert {field: full[field] for field in kind.example} == dict(kind.example)


def test_what_is_no_symbol_in_a_request_is_passed_on_while_a_symbol_is_forgotten() -> None:
    faults = on("forgotten_symbol:stream=stocks,symbol=SPY")
    asked = {"action": "subscribe", "trades": [["A"], "SPY", 7, {"a": 1}, "AAPL"]}
    heeded = subscriptions.heeded(faults, asked, "stocks", None)
    assert heeded == {"action": "subscribe", "trades": [["A"], 7, {"a": 1}, "AAPL"]}


@pytest.mark.parametrize("name", KINDS)
def test_one_line_says_the_same_as_an_object(name: str) -> None:
    example = dict(KINDS[name].example)
    fields = [
        f"{field}={str(value).lower() if isinstance(value, bool) else value}"
        for field, value in example.items()
        if field != "fault"
    ]
    assert parse_line(name + ":" * bool(fields) + ",".join(fields)) == parse(example)


@pytest.mark.parametrize("said", ["trade_updates", "trade updates", "trade-updates"])
def test_a_stream_may_be_named_as_people_say_it(said: str) -> None:
    assert parse({"fault": "disconnect", "stream": said})["stream"] == "trade_updates"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "a JSON object"),
        ({}, "fault is None; allowed: disconnect, mute"),
        ({"fault": "earthquake"}, "fault is 'earthquake'"),
        ({"fault": "mute"}, "stream is missing"),
        ({"fault": "mute", "stream": "forex"}, "allowed: stocks, crypto"),
        ({"fault": "mute", "stream": "stocks", "seconds": -1}, "seconds is -1"),
        ({"fault": "mute", "stream": "stocks", "account": 0}, "account is 0"),
        ({"fault": "error_500", "count": 0}, "count is 0"),
        ({"fault": "error_500", "count": 1.5}, "whole number"),
        ({"fault": "error_500", "count": 10**30}, "up to 1000000"),
        ({"fault": "latency", "ms": True}, "ms is True"),
        ({"fault": "latency", "ms": float("nan")}, "ms is nan"),
        ({"fault": "http_error", "status": 418}, "allowed: 408, 422, 425, 499, 500, 502, 503, 504"),
        ({"fault": "http_error", "status": 500, "accepted": 1}, "accepted is 1; allowed: true, false"),
        ({"fault": "reset", "on": ["submit"]}, "allowed: submit, replace, cancel"),
        ({"fault": "duplicate_updates", "stream": "stocks"}, "stream is no field of duplicate_updates"),
    ],
)
def test_what_makes_no_sense_is_named(body: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(body)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "allowed: such as disconnect:stream=stocks"),
        ("mute:", "a fault is 'mute:'"),
        ("mute:stream", "a fault is 'mute:stream'"),
        ("mute:stream=forex", "stream is 'forex'"),
        ("mute:stream=stocks,stream=crypto", "stream is given twice"),
        ("rate_limit:count=1e999", "count is inf"),
        ("latency:ms=NaN", "ms is nan"),
        ("latency:ms=fast", "ms is 'fast'"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(line: str, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_line(line)
    assert words in str(error.value)


def test_a_counted_fault_strikes_so_many_times_and_only_what_it_is_about() -> None:
    faults = on("rate_limit:count=2")
    assert faults.strike("rate_limit", api="data", account="a") is None
    assert [bool(faults.strike("rate_limit", api="trading", account="a")) for _ in range(3)] == [
        True,
        True,
        False,
    ]
    assert faults.struck["rate_limit"] == 2
    assert faults.is_quiet


def test_a_fault_of_one_account_spares_the_others() -> None:
    faults = on("mute:stream=stocks,account=mine")
    assert faults.find("mute", stream="stocks", account="mine")
    assert not faults.find("mute", stream="stocks", account="yours")
    assert not faults.find("mute", stream="stocks", account=None)


def test_a_new_fault_takes_the_place_of_one_that_hits_the_same_and_no_other() -> None:
    faults = on("rate_limit:count=5", "rate_limit:count=1", "rate_limit:count=7,api=data")
    assert [active.left for active in faults.active()] == [1, 7]


def test_a_count_and_seconds_both_bound_a_fault_and_seconds_alone_have_no_count() -> None:
    assert parse_line("error_500")["count"] == 1
    assert parse_line("error_500:seconds=3")["count"] is None
    assert parse_line("error_500:seconds=3,count=2")["count"] == 2


class SwitchUnderTest:
    """A fault switch on a virtual clock, and the effects that began and ended."""

    def __init__(self) -> None:
        self.clock = VirtualClock(0)
        self.told: list[str] = []
        self.fault_switch = FaultSwitch(
            Faults(),
            self.clock,
            ["first", "second"],
            [
                Effects(
                    begun={"disconnect": lambda fault: self.told.append(f"cut {fault['stream']}")},
                    ended={"mute": lambda fault: self.told.append(f"end mute of {fault['stream']}")},
                )
            ],
        )

    def active(self) -> list[str]:
        return [active.name for active in self.fault_switch.faults.active()]

    def advance(self, seconds: float) -> None:
        async def no_readers() -> None:
            return

        asyncio.run(self.clock.advance(self.clock.now_ns() + int(seconds * SECOND_NS), no_readers))


def test_a_fault_of_seconds_ends_by_itself_and_is_undone() -> None:
    tested = SwitchUnderTest()
    tested.fault_switch.begin(parse_line("mute:stream=stocks,seconds=2"))
    tested.advance(1.999)
    assert tested.active() == ["mute"]
    tested.advance(0.001)
    assert (tested.active(), tested.told) == ([], ["end mute of stocks"])


def test_the_end_of_a_fault_does_not_end_the_one_that_took_its_place() -> None:
    tested = SwitchUnderTest()
    tested.fault_switch.begin(parse_line("mute:stream=stocks,seconds=1"))
    tested.fault_switch.begin(parse_line("mute:stream=stocks"))
    tested.advance(5)
    assert (tested.active(), tested.told) == (["mute"], [])
    tested.fault_switch.end_all()
    assert (tested.active(), tested.told) == ([], ["end mute of stocks"])


def test_a_disconnect_without_seconds_cuts_and_lets_everybody_return() -> None:
    tested = SwitchUnderTest()
    tested.fault_switch.begin(parse_line("disconnect:stream=stocks"))
    assert (tested.active(), tested.told) == ([], ["cut stocks"])
    tested.fault_switch.begin(parse_line("disconnect:stream=stocks,seconds=1"))
    assert handshakes.opening(tested.fault_switch.faults, "stocks").status == 503
    assert handshakes.opening(tested.fault_switch.faults, "crypto").status is None


def test_one_kind_is_ended_by_name() -> None:
    tested = SwitchUnderTest()
    for line in ("mute:stream=stocks", "mute:stream=crypto", "duplicate_updates"):
        tested.fault_switch.begin(parse_line(line))
    tested.fault_switch.end("mute")
    assert tested.active() == ["duplicate_updates"]
    with pytest.raises(InvalidInput, match="earthquake"):
        tested.fault_switch.end("earthquake")


def test_an_account_is_meant_by_its_key_or_its_number() -> None:
    tested = SwitchUnderTest()
    assert tested.fault_switch.begin(parse_line("duplicate_updates:account=2"))["account"] == "second"
    assert tested.fault_switch.begin(parse_line("duplicate_updates:account=first"))["account"] == "first"
    for wrong in ("3", "third"):
        with pytest.raises(InvalidInput, match="account is unknown"):
            tested.fault_switch.begin(parse_line(f"duplicate_updates:account={wrong}"))


@pytest.mark.parametrize(
    ("line", "method", "path", "is_hit"),
    [
        ("error_500", "POST", "/v2/orders", True),
        ("error_500", "GET", "/v2/orders", False),
        ("error_500", "PATCH", "/v2/orders/1", False),
        ("reset:on=replace", "PATCH", "/v2/orders/1", True),
        ("reset:on=cancel", "DELETE", "/v2/orders", True),
        ("reset:on=cancel", "DELETE", "/v2/positions", False),
        ("reset:on=close", "DELETE", "/v2/positions/AAPL", True),
        ("reset:on=read", "GET", "/v2/account", True),
        ("reset:on=trading", "GET", "/v2/account", True),
        ("reset:on=data", "GET", "/v2/stocks/bars", True),
        ("reset:on=data", "GET", "/v2/account", False),
        ("reset:on=any", "GET", "/v2/stocks/bars", True),
    ],
)
def test_a_request_is_hit_by_the_faults_that_are_about_it(
    line: str, method: str, path: str, is_hit: bool
) -> None:
    api = "data" if "stocks" in path else "trading"
    called = requests.groups(method, path, api)
    faults = on(line)
    outcome = requests.outcome_of(faults, called, "a")
    assert (outcome != requests.RequestOutcome()) == is_hit
    assert faults.is_quiet == is_hit


def test_a_request_is_hit_by_one_fault_at_a_time() -> None:
    faults = on("error_500", "reset")
    submit = requests.groups("POST", "/v2/orders", "trading")
    assert requests.outcome_of(faults, submit, "a").reset
    assert requests.outcome_of(faults, submit, "a").status == 500
    assert requests.outcome_of(faults, submit, "a") == requests.RequestOutcome()


def test_updates_are_lost_changed_doubled_and_skewed() -> None:
    message = update()
    assert updates.changed(on("lost_updates"), message, "a") == []
    assert updates.changed(on("mute:stream=trade_updates"), message, "a") == []
    assert updates.changed(on("mute:stream=stocks"), message, "a") == [message]
    assert updates.changed(on("duplicate_updates"), message, "a") == [message, message]
    (changed,) = updates.changed(on("unknown_status"), message, "a")
    assert changed["data"]["order"]["status"] == updates.UNHEARD_OF_STATUS
    (changed,) = updates.changed(on("unknown_event"), message, "a")
    assert changed["data"]["event"] == updates.UNHEARD_OF_EVENT
    (changed,) = updates.changed(on("clock_skew:skew_ms=-1500"), message, "a")
    assert changed["data"]["timestamp"] == "2026-01-05T14:29:58.500000001Z"
    assert message == update()


def test_market_messages_are_lost_doubled_and_turned_around() -> None:
    def change(*lines: str) -> list[int]:
        return messages.changed(on(*lines), [1, 2, 3], "stocks", "a")

    assert change("lost_messages:stream=stocks,count=2") == [3]
    assert change("lost_messages:stream=stocks,seconds=9") == []
    assert change("duplicate_messages:stream=stocks,count=1") == [1, 1, 2, 3]
    assert change("out_of_order_messages:stream=stocks") == [3, 2, 1]
    assert change("mute:stream=stocks") == []
    assert change("mute:stream=crypto", "duplicate_updates") == [1, 2, 3]


def test_a_count_of_lost_messages_goes_on_to_the_next_moment() -> None:
    faults = on("lost_messages:stream=stocks,count=4")
    assert messages.changed(faults, [1, 2, 3], "stocks", "a") == []
    assert messages.changed(faults, [4, 5], "stocks", "a") == [5]
    assert faults.is_quiet
