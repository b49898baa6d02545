"""What Alpaca says of an account, its positions and settings, and of assets and the clock. Pure."""

import re
from decimal import Decimal
from typing import Any

import msgspec

from bus.errors import Unreadable
from bus.symbols import pair_symbol
from oms.broker.alpaca_orders import is_countable
from oms.broker.protocol import BrokerAccount, BrokerPosition, ClosedAtBroker, UnreadablePosition
from oms.risk.assets import Asset

# A number of an account, such as PA3JKX1P5QWE: it becomes part of names, so nothing else is let through.
_NUMBER = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Position(msgspec.Struct, frozen=True):
    symbol: str
    qty: Decimal
    avg_entry_price: Decimal
    side: str = "long"
    asset_class: str = ""


class _Account(msgspec.Struct, frozen=True):
    account_number: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal


class _Asset(msgspec.Struct, frozen=True):
    # What it does not say is not held against a symbol: the broker refuses what it does not take.
    symbol: str
    status: str = "active"
    tradable: bool = True
    shortable: bool = True
    easy_to_borrow: bool = True


class _Clock(msgspec.Struct, frozen=True):
    is_open: bool


class _Closed(msgspec.Struct, frozen=True):
    symbol: str
    status: int
    body: dict[str, Any] = {}


class _Configurations(msgspec.Struct, frozen=True):
    suspend_trade: bool


def read_account(raw: Any) -> BrokerAccount:
    """The account of a REST answer. Raises Unreadable, naming the field that is wrong."""
    try:
        account = msgspec.convert(raw, _Account, strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(f"the account at Alpaca: {error}") from error
    if not _NUMBER.fullmatch(account.account_number):
        shown = account.account_number[:64]
        raise Unreadable(f"the account at Alpaca: account_number {shown!r} is no account's number")
    for name in ("cash", "equity", "buying_power"):
        if not is_countable(getattr(account, name)):
            raise Unreadable(f"the account at Alpaca: {name} is {str(getattr(account, name))[:64]}")
    return BrokerAccount(
        number=account.account_number,
        cash=account.cash,
        equity=account.equity,
        buying_power=account.buying_power,
    )


def read_positions(raw: Any) -> list[BrokerPosition | UnreadablePosition]:
    """The positions of a REST answer, signed: what cannot be read of one must not hide the others.

    Raises Unreadable where the answer is no list.
    """
    if not isinstance(raw, list):
        raise Unreadable("positions of Alpaca's are no list")
    return [_read_position(one) for one in raw]


def _read_position(raw: Any) -> BrokerPosition | UnreadablePosition:
    try:
        position = msgspec.convert(raw, _Position, strict=False)
        if not is_countable(position.qty) or not is_countable(position.avg_entry_price):
            raise Unreadable("its quantity or price is no sane number")
    except (msgspec.ValidationError, Unreadable) as error:
        said = raw if isinstance(raw, dict) else {}
        symbol, asset_class = (str(said.get(name) or "")[:64] for name in ("symbol", "asset_class"))
        return UnreadablePosition(position_symbol(symbol, asset_class), str(error))
    return BrokerPosition(
        symbol=position_symbol(position.symbol, position.asset_class),
        quantity=-abs(position.qty) if position.side == "short" else position.qty,
        average_price=position.avg_entry_price,
    )


def position_symbol(symbol: str, asset_class: str) -> str:
    """The symbol of a position as orders write it: Alpaca lists a pair such as BTC/USD as BTCUSD."""
    return pair_symbol(symbol) if asset_class == "crypto" else symbol


def read_closed(raw: Any) -> list[ClosedAtBroker]:
    """The answer to a close of all positions, in the words of Alpaca where it refused. Raises Unreadable."""
    try:
        lines = msgspec.convert(raw, list[_Closed], strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(f"the answer to a close of all positions: {error}") from error
    return [
        ClosedAtBroker(line.symbol, "" if line.status < 300 else str(line.body.get("message", line.status)))
        for line in lines
    ]


def read_suspended(raw: Any) -> bool:
    """Whether an account's settings have it refuse every order. Raises Unreadable."""
    try:
        return msgspec.convert(raw, _Configurations).suspend_trade
    except msgspec.ValidationError as error:
        raise Unreadable(f"the account's settings at Alpaca: {error}") from error


def read_asset(raw: Any) -> Asset:
    """An asset of a REST answer. Raises Unreadable, naming the field that is wrong."""
    try:
        found = msgspec.convert(raw, _Asset, strict=False)
    except msgspec.ValidationError as error:
        raise Unreadable(f"an asset of Alpaca's: {error}") from error
    status = found.status if found.tradable or found.status != "active" else "active, and not tradable"
    tradable = found.tradable and found.status == "active"
    return Asset(status, tradable, found.shortable, found.easy_to_borrow)


def read_is_open(raw: Any) -> bool:
    """Whether the market is open, of a REST answer. Raises Unreadable."""
    try:
        return msgspec.convert(raw, _Clock).is_open
    except msgspec.ValidationError as error:
        raise Unreadable(f"Alpaca's clock: {error}") from error
