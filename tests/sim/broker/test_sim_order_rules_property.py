"""Any body at all is a checked ticket or a refusal; and a ticket keeps every rule, told once more here."""

import itertools
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.broker.configurations import MULTIPLIERS, Configurations, ConfigurationsRequest, changed
from sim.broker.order_requests import OrderRequest, ReplaceRequest
from sim.broker.order_rules import ticket
from sim.broker.orders import Order, Ticket
from sim.broker.replace_rules import replaced
from sim.exchange.assets import Assets
from sim.refusals import Refused

ASSETS = Assets()
SYMBOLS = ("AAPL", "BTC/USD", "BTCUSD", "BRK.A", "ZOM", "TWTR", "FNMA", "AAPL260116C00250000", "")
TYPES = ("market", "limit", "stop", "stop_limit", "trailing_stop")
TIMES = ("day", "gtc", "opg", "cls", "ioc", "fok")
CLASSES = ("", "simple", "bracket", "oco", "oto", "mleg")

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
odd_numbers = st.sampled_from(
    ["NaN", "sNaN", "-Infinity", "1e999", "1e-999", "1e-999999999999", "-0", "0.1234567891", "1_0", 10**60]
)
numbers = st.one_of(
    st.decimals(min_value=-1, max_value=200, places=2).map(str),
    st.integers(-1, 200),
    st.floats(0, 200),
    odd_numbers,
)


def fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Bodies with some of these fields, now and then with what does not belong there."""
    return st.fixed_dictionaries({}, optional={name: known[name] | junk for name in known})


legs = fields(limit_price=numbers, stop_price=numbers)
orders = fields(
    symbol=st.sampled_from(SYMBOLS),
    qty=numbers,
    notional=numbers,
    side=st.sampled_from(["buy", "sell"]),
    type=st.sampled_from(TYPES),
    time_in_force=st.sampled_from(TIMES),
    limit_price=numbers,
    stop_price=numbers,
    trail_price=numbers,
    trail_percent=numbers,
    client_order_id=st.text(max_size=140),
    extended_hours=st.booleans(),
    order_class=st.sampled_from(CLASSES),
    take_profit=legs,
    stop_loss=legs,
    position_intent=st.sampled_from(["buy_to_open", "sell_to_close"]),
    order_type=st.sampled_from(TYPES),
)
prices = st.sampled_from([100, "99.99", 0.4321, "0.9", 100, "99.99", "99.999", "0.43215"])
needed: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "market": {},
    "limit": {"limit_price": prices},
    "stop": {"stop_price": prices},
    "stop_limit": {"limit_price": prices, "stop_price": prices},
    "trailing_stop": {"trail_percent": st.sampled_from([1, "0.1", "0.05"])},
}
ABOVE, BELOW = 120, 80


@st.composite
def likely(draw: st.DrawFn) -> dict[str, Any]:
    """A body that has what its type and class need, and at times one field more, or a strange one."""
    kind = draw(st.sampled_from(TYPES))
    symbol = draw(st.sampled_from(["AAPL", "AAPL", "AAPL", "AAPL", "BTC/USD", "BRK.A"]))
    order_class = draw(st.sampled_from(["", "", "bracket", "oco", "oto"]))
    body: dict[str, Any] = {
        "symbol": symbol,
        "side": draw(st.sampled_from(["buy", "sell"])),
        "type": kind,
        "time_in_force": draw(
            st.sampled_from(["gtc", "ioc"] if "/" in symbol else ["day", "day", "gtc", "gtc", *TIMES])
        ),
        "qty": draw(st.sampled_from([1, 2, 2, 2, "0.5"])),
        "order_class": order_class,
        **{name: draw(values) for name, values in needed[kind].items()},
    }
    if order_class:
        leaves_long = (body["side"] == "buy") != (order_class == "oco")
        is_crossed = draw(st.integers(0, 5)) == 0
        profit, loss = (ABOVE, BELOW) if leaves_long != is_crossed else (BELOW, ABOVE)
        body["stop_loss"] = {"stop_price": loss}
        if order_class != "oto":
            body["take_profit"] = {"limit_price": profit}
    if draw(st.integers(0, 5)) == 0:
        body |= draw(orders)
    return body


def made_of(body: dict[str, Any]) -> Ticket | None:
    """The ticket, or None where the body is refused; anything else is raised."""
    ids = itertools.count()
    try:
        request = msgspec.json.decode(msgspec.json.encode(body), type=OrderRequest)
    except (msgspec.MsgspecError, UnicodeError):
        return None  # the middleware refuses it
    try:
        return ticket(request, ASSETS, lambda: f"made-up-{next(ids)}")
    except Refused as refused:
        check_refusal(refused)
        return None


def check_refusal(refused: Refused) -> None:
    assert refused.status in (403, 422)
    assert refused.body["code"] in (40010001, 40310000, 42210000)
    assert refused.body["message"]
    assert len(msgspec.json.encode(refused.body)) < 2_000


def decimals(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    return max(0, -exponent)


def check_prices(made: Ticket) -> None:
    has = {
        "limit": made.limit_price is not None,
        "stop": made.stop_price is not None,
        "trail": (made.trail_price is not None) + (made.trail_percent is not None),
    }
    wanted = {
        "market": {"limit": False, "stop": False, "trail": 0},
        "limit": {"limit": True, "stop": False, "trail": 0},
        "stop": {"limit": False, "stop": True, "trail": 0},
        "stop_limit": {"limit": True, "stop": True, "trail": 0},
        "trailing_stop": {"limit": False, "stop": False, "trail": 1},
    }
    assert has == wanted[made.type]
    assert made.trail_percent is None or Decimal("0.1") <= made.trail_percent < 100
    for price in (made.limit_price, made.stop_price):
        if price is not None:
            assert price > 0
            most = 9 if made.asset.is_crypto else 2 if price >= 1 else 4
            assert decimals(price) <= most


def check_rules(made: Ticket) -> None:
    assert made.asset.is_active
    assert made.asset.is_tradable
    assert made.side in ("buy", "sell")
    assert 0 < len(made.client_order_id) <= 128
    assert (made.qty is None) != (made.notional is None)
    assert made.qty is None or (made.qty > 0 and decimals(made.qty) <= 9)
    assert made.notional is None or (made.notional >= 1 and decimals(made.notional) <= 2)
    check_prices(made)
    if made.asset.is_crypto:
        assert made.time_in_force in ("gtc", "ioc")
        assert made.type in ("market", "limit", "stop_limit")
        assert made.order_class == ""
    elif made.is_fractional:
        assert made.asset.is_fractionable
        assert (made.time_in_force, made.order_class) == ("day", "")
        assert made.type != "trailing_stop"
    if made.time_in_force in ("opg", "cls", "ioc", "fok"):
        assert made.type in ("market", "limit") or made.asset.is_crypto
        assert made.order_class == ""
    if made.extended_hours:
        assert (made.type, made.order_class) == ("limit", "")
        assert made.time_in_force in ("day", "gtc")
    assert len(made.legs) == {"": 0, "bracket": 2, "oco": 1, "oto": 1}[made.order_class]


def check_group(made: Ticket) -> None:
    for leg in made.legs:
        check_prices(leg)
        assert (leg.qty, leg.time_in_force, leg.asset) == (made.qty, made.time_in_force, made.asset)
        assert (leg.side == made.side) == (made.order_class == "oco")
    ids = [made.client_order_id, *(leg.client_order_id for leg in made.legs)]
    assert len(set(ids)) == len(ids)
    profit = made.limit_price if made.order_class == "oco" else made.legs[0].limit_price
    loss = made.legs[-1].stop_price
    if made.order_class in ("bracket", "oco"):
        assert profit is not None
        assert loss is not None
        assert (profit > loss) == (made.legs[0].side == "sell")


@settings(max_examples=200, deadline=None)
@given(body=orders)
def test_any_body_is_a_ticket_or_a_refusal(body: dict[str, Any]) -> None:
    made_of(body)


@settings(max_examples=500, deadline=None)
@given(body=likely())
def test_a_ticket_keeps_the_rules(body: dict[str, Any]) -> None:
    made = made_of(body)
    if made is not None:
        check_rules(made)
        if made.legs:
            check_group(made)


@settings(max_examples=300, deadline=None)
@given(
    body=likely(),
    filled=st.integers(0, 2),
    change=fields(
        qty=numbers,
        limit_price=numbers,
        stop_price=numbers,
        trail=numbers,
        time_in_force=st.sampled_from(TIMES),
    ),
)
def test_any_change_is_a_ticket_that_keeps_the_rules_or_a_refusal(
    body: dict[str, Any], filled: int, change: dict[str, Any]
) -> None:
    made = made_of(body)
    if made is None or made.qty is None or filled >= made.qty:
        return
    order = Order("1", made, "buy_to_open", Decimal(1), 1, 1, status="new", filled_qty=Decimal(filled))
    try:
        request = msgspec.json.decode(msgspec.json.encode(change), type=ReplaceRequest)
        after = replaced(order, request, "another")
    except (Refused, msgspec.MsgspecError, UnicodeError):
        return
    check_rules(after)
    assert (after.asset, after.side, after.type, after.legs) == (made.asset, made.side, made.type, made.legs)


@given(
    body=fields(
        max_margin_multiplier=numbers,
        no_shorting=st.booleans(),
        trade_confirm_email=st.sampled_from(["all", "none", "some"]),
        max_options_trading_level=st.integers(-1, 5),
    )
)
def test_any_settings_are_taken_or_refused(body: dict[str, Any]) -> None:
    try:
        request = msgspec.json.decode(msgspec.json.encode(body), type=ConfigurationsRequest)
        after = changed(Configurations(), request)
    except (Refused, msgspec.MsgspecError, UnicodeError):
        return
    assert after.max_margin_multiplier in MULTIPLIERS
    assert after.trade_confirm_email in ("all", "none")
    assert after.max_options_trading_level in (None, 0, 1, 2, 3)
