"""Activities that are no trades on the control endpoint: fees, dividends, transfers, and splits."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import msgspec
from aiohttp import web

from bus.errors import InvalidInput
from sim.accounts.trading_account import TradingAccount
from sim.amounts import SMALLEST_QTY, is_finer
from sim.broker.activities import OTHER_TYPES
from sim.broker.movements import MOVES_POSITION, Movement
from sim.broker.order_rules import MOST
from sim.control.bad_input import body_as
from sim.exchange.assets import Asset
from sim.rest.json_bodies import answer

# A split of more than a thousand for one is a slip of the finger.
_MOST_SHARES = 1000


class ActivityRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /activities; amounts are signed: what came, or below zero what went."""

    type: str
    net_amount: Decimal = Decimal(0)
    symbol: str | None = None
    qty: Decimal = Decimal(0)
    price: Decimal | None = None
    description: str = ""
    account: str | None = None


class SplitRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /splits: `ratio` is new for old shares, such as 4:1."""

    symbol: str
    ratio: str
    account: str | None = None


class MovementRoutes:
    """The handlers; `find` returns the account of an API key, the first one for None."""

    def __init__(self, find: Callable[[str | None], TradingAccount]) -> None:
        self._find = find

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.post("/activities", self.activity), web.post("/splits", self.split)]

    async def activity(self, request: web.Request) -> web.Response:
        """POST /activities: have something that is no trade happen to the account."""
        shape = "{type[, net_amount][, symbol][, qty][, price][, description][, account]}"
        wanted = await body_as(ActivityRequest, request, shape)
        account = self._find(wanted.account)
        if wanted.type not in OTHER_TYPES:
            raise InvalidInput(f"type is {wanted.type[:16]!r}; allowed: {', '.join(OTHER_TYPES)}")
        for name in ("net_amount", "qty", "price"):
            _check(name, getattr(wanted, name))
        asset = None if wanted.symbol is None else _asset(account, wanted.symbol)
        if wanted.type in MOVES_POSITION and (asset is None or not wanted.qty):
            raise InvalidInput(f"a {wanted.type} moves a position; give its symbol and qty")
        movement = Movement(
            account.new_id(),
            wanted.type,
            "" if asset is None else asset.symbol,
            wanted.qty,
            wanted.price,
            wanted.net_amount,
            wanted.description or wanted.type,
            account.clock.now_ns(),
        )
        account.brokerage.move(asset, movement)
        return answer({"id": movement.id})

    async def split(self, request: web.Request) -> web.Response:
        """POST /splits: the account's shares become more, or fewer; their cost and the market stay."""
        wanted = await body_as(SplitRequest, request, "{symbol, ratio[, account]}")
        account = self._find(wanted.account)
        asset, ratio = _asset(account, wanted.symbol), _ratio(wanted.ratio)
        held = account.brokerage.account.qty(asset.symbol)
        change = (held * ratio.numerator / ratio.denominator).quantize(SMALLEST_QTY) - held
        text = f"{asset.symbol} {wanted.ratio}"
        movement = Movement(
            account.new_id(), "SPLIT", asset.symbol, change, None, Decimal(0), text, account.clock.now_ns()
        )
        account.publish_soon(account.brokerage.split(asset, ratio, movement))
        return answer({"id": movement.id})


def _check(name: str, amount: Decimal | None) -> None:
    if amount is None:
        return
    if not amount.is_finite() or abs(amount) > MOST or is_finer(amount, SMALLEST_QTY):
        raise InvalidInput(
            f"{name} is {amount}; allowed: at most {MOST} either way, with at most nine decimals"
        )


def _asset(account: TradingAccount, symbol: str) -> Asset:
    asset = account.assets.find(symbol)
    if asset is None:
        raise InvalidInput(f"symbol is {symbol[:32]!r}; allowed: a symbol of GET /v2/assets")
    return asset


def _ratio(text: str) -> Fraction:
    new, _, old = text.partition(":")
    wrong = InvalidInput(
        f"ratio is {text[:32]!r}; allowed: new for old shares up to {_MOST_SHARES}, such as 4:1"
    )
    if not (new.isascii() and old.isascii() and new.isdecimal() and old.isdecimal()) or len(text) > 9:
        raise wrong
    if not (0 < int(new) <= _MOST_SHARES and 0 < int(old) <= _MOST_SHARES):
        raise wrong
    return Fraction(int(new), int(old))
