"""Keeps an account's watchlists: ordered lists of assets, found by id or by name."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sim.exchange.assets import Asset
from sim.refusals import malformed, not_found
from sim.times import rfc3339

LONGEST_NAME = 64


@dataclass(slots=True)
class Watchlist:
    """One list; no asset is in it twice."""

    id: str
    name: str
    created_ns: int
    updated_ns: int
    assets: list[Asset] = field(default_factory=list)


class Watchlists:
    """The lists of one account. No two share a name."""

    def __init__(self) -> None:
        self._by_id: dict[str, Watchlist] = {}

    def all(self) -> list[Watchlist]:
        """Return every list, oldest first."""
        return list(self._by_id.values())

    def find(self, watchlist_id: str) -> Watchlist:
        """Return the list with this id. Raises Refused (404)."""
        if watchlist_id not in self._by_id:
            raise not_found("watchlist not found")
        return self._by_id[watchlist_id]

    def find_by_name(self, name: str) -> Watchlist:
        """Return the list of this name. Raises Refused (404)."""
        for watchlist in self._by_id.values():
            if watchlist.name == name:
                return watchlist
        raise not_found("watchlist not found")

    def create(self, watchlist_id: str, name: str | None, assets: Sequence[Asset], now_ns: int) -> Watchlist:
        """Make a list. Raises Refused (422) where the name is missing or taken, or an asset comes twice."""
        if name is None:
            raise malformed("watchlist name is required")
        self._check_name(name, None)
        _check_once(assets)
        made = Watchlist(watchlist_id, name, now_ns, now_ns, list(assets))
        self._by_id[made.id] = made
        return made

    def update(
        self, watchlist: Watchlist, name: str | None, assets: Sequence[Asset] | None, now_ns: int
    ) -> None:
        """Change its name, its assets, or both. Raises Refused (422), and then nothing is changed."""
        if name is not None:
            self._check_name(name, watchlist)
        if assets is not None:
            _check_once(assets)
            watchlist.assets = list(assets)
        watchlist.name = watchlist.name if name is None else name
        watchlist.updated_ns = now_ns

    def add(self, watchlist: Watchlist, asset: Asset, now_ns: int) -> None:
        """Append an asset. Raises Refused (422) where it is in the list."""
        self.update(watchlist, None, [*watchlist.assets, asset], now_ns)

    def remove(self, watchlist: Watchlist, asset: Asset, now_ns: int) -> None:
        """Remove an asset. Raises Refused (404) where it is not in the list."""
        if asset not in watchlist.assets:
            raise not_found(f"asset not found for {asset.symbol}")
        self.update(watchlist, None, [one for one in watchlist.assets if one != asset], now_ns)

    def delete(self, watchlist: Watchlist) -> None:
        """Delete the list."""
        del self._by_id[watchlist.id]

    def _check_name(self, name: str, of: Watchlist | None) -> None:
        if not 0 < len(name) <= LONGEST_NAME:
            raise malformed(f"watchlist name must have 1 to {LONGEST_NAME} characters")
        if any(other.name == name for other in self._by_id.values() if other is not of):
            raise malformed("watchlist name must be unique")


def _check_once(assets: Sequence[Asset]) -> None:
    seen: set[str] = set()
    for asset in assets:
        if asset.symbol in seen:
            raise malformed(f"duplicate symbol {asset.symbol}")
        seen.add(asset.symbol)


def watchlist_json(watchlist: Watchlist, account_id: str) -> dict[str, Any]:
    """Return the list without its assets, as Alpaca shows it among others."""
    return {
        "id": watchlist.id,
        "account_id": account_id,
        "name": watchlist.name,
        "created_at": rfc3339(watchlist.created_ns),
        "updated_at": rfc3339(watchlist.updated_ns),
    }
