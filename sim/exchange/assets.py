"""The assets that this broker knows: well-known stocks and crypto pairs, and those of the market played."""

import re
import uuid
from dataclasses import dataclass
from typing import Any

from sim.exchange.assets_known import KNOWN
from sim.exchange.assets_restricted import RESTRICTED

_SYMBOL = re.compile(r"[A-Z0-9]{1,10}(\.[A-Z]{1,2})?")
_PAIR = re.compile(r"[A-Z0-9]{2,8}/(USD|USDT|USDC|BTC)")
_NAMESPACE = uuid.UUID("5c6a1d0e-8a52-4a8e-9d2c-3f1c7f6b2a10")


@dataclass(frozen=True, slots=True)
class Asset:
    """One tradable asset; `opening_price_cents` is where a generated market opens.

    `borrow_status` is easy_to_borrow, hard_to_borrow (sold short for the day only) or not_shortable.
    `maintenance_percent` is the maintenance margin, in percent of a position's value.
    """

    symbol: str
    name: str
    exchange: str
    opening_price_cents: int
    is_active: bool = True
    is_tradable: bool = True
    is_fractionable: bool = True
    borrow_status: str = "easy_to_borrow"
    maintenance_percent: int = 30

    @property
    def is_crypto(self) -> bool:
        """Whether it is a crypto pair, and not a share."""
        return "/" in self.symbol

    @property
    def asset_class(self) -> str:
        """Alpaca's name of its class."""
        return "crypto" if self.is_crypto else "us_equity"

    @property
    def is_marginable(self) -> bool:
        """Whether it can be bought on margin: no crypto pair can, nor a share that must be paid in full."""
        return not self.is_crypto and self.maintenance_percent < 100

    @property
    def is_shortable(self) -> bool:
        """Whether it can be sold short."""
        return not self.is_crypto and self.borrow_status != "not_shortable"

    @property
    def id(self) -> str:
        """Its id, made from the symbol: the same in every run."""
        return str(uuid.uuid5(_NAMESPACE, self.symbol))


def is_plausible(symbol: str) -> bool:
    """Return whether it could be a symbol: a share such as BRK.B or a pair such as BTC/USD."""
    return bool(_SYMBOL.fullmatch(symbol) or _PAIR.fullmatch(symbol))


def made_up(symbol: str) -> Asset:
    """Return an asset for a plausible symbol that is in no list; its price follows from its letters."""
    cents = 1_000 + uuid.uuid5(_NAMESPACE, symbol).int % 30_000
    return Asset(symbol, symbol, "CRYPTO" if "/" in symbol else "NASDAQ", cents)


class Assets:
    """Assets by symbol; starts with the known list."""

    def __init__(self) -> None:
        self._by_symbol: dict[str, Asset] = {row[0]: Asset(*row) for row in KNOWN}
        self._by_symbol |= {
            symbol: Asset(symbol, *row, **traits) for symbol, (row, traits) in RESTRICTED.items()
        }
        self._by_id = {asset.id: asset for asset in self._by_symbol.values()}

    def add(self, symbol: str) -> Asset:
        """Add an asset for a plausible symbol, and return it."""
        if symbol not in self._by_symbol:
            asset = made_up(symbol)
            self._by_symbol[symbol] = self._by_id[asset.id] = asset
        return self._by_symbol[symbol]

    def find(self, name: str) -> Asset | None:
        """Return the asset of a symbol, of a pair without its slash (BTCUSD), or of an id; else None."""
        if name in self._by_symbol:
            return self._by_symbol[name]
        if name in self._by_id:
            return self._by_id[name]
        for quote in ("USDT", "USDC", "USD", "BTC"):
            if name.endswith(quote) and f"{name[: -len(quote)]}/{quote}" in self._by_symbol:
                return self._by_symbol[f"{name[: -len(quote)]}/{quote}"]
        return None

    def all(self) -> list[Asset]:
        """Return every asset, by symbol."""
        return [self._by_symbol[symbol] for symbol in sorted(self._by_symbol)]


def asset_json(asset: Asset) -> dict[str, Any]:
    """Return the asset as GET /v2/assets shows it."""
    margin = 100 if asset.is_crypto else asset.maintenance_percent
    attributes = ["fractional_eh_enabled"] if asset.is_fractionable else []
    body: dict[str, Any] = {
        "id": asset.id,
        "class": asset.asset_class,
        "exchange": asset.exchange,
        "symbol": asset.symbol,
        "name": asset.name,
        "status": "active" if asset.is_active else "inactive",
        "tradable": asset.is_active and asset.is_tradable,
        "marginable": asset.is_marginable,
        "shortable": asset.is_shortable,
        "easy_to_borrow": asset.is_shortable and asset.borrow_status == "easy_to_borrow",
        "borrow_status": asset.borrow_status if asset.is_shortable else "not_shortable",
        "fractionable": asset.is_fractionable,
        "maintenance_margin_requirement": margin,
        "margin_requirement_long": str(margin),
        "margin_requirement_short": str(margin),
        "attributes": [] if asset.is_crypto else [*attributes, "has_options"],
    }
    if asset.is_crypto:
        body |= {
            "min_order_size": "0.000000001",
            "min_trade_increment": "0.000000001",
            "price_increment": "0.01",
        }
    return body
