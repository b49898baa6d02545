"""Groups of orders with exits of which something is open, not closed, or not known yet. Pure."""

from collections.abc import Collection, Iterator

from oms.book.groups import Group, expects_legs
from oms.book.orders import Order

_NONE: dict[str, Group] = {}


class OpenGroups:
    """By algorithm and symbol, oldest first. Mutable: as orders change, by `keep`."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], dict[str, Group]] = {}

    def __repr__(self) -> str:
        return f"<{sum(map(len, self._groups.values()))} open groups>"

    def __iter__(self) -> Iterator[tuple[str, str, Collection[Group]]]:
        return ((name, symbol, found.values()) for (name, symbol), found in tuple(self._groups.items()))

    def __contains__(self, group: Group) -> bool:
        return group.first.client_order_id in self._groups.get(_key(group), _NONE)

    def of(self, algorithm: str, symbol: str) -> tuple[Group, ...]:
        """Those of an algorithm in a symbol; not changed by what is kept meanwhile."""
        return tuple(self._groups.get((algorithm, symbol), _NONE).values())

    def awaiting_legs(self) -> Iterator[Order]:
        """Orders of which the broker may have exits that are not known here."""
        for _, _, found in self:
            yield from (group.first for group in found if expects_legs(group.first))

    def keep(self, group: Group) -> None:
        """Take a group in, or let it go where nothing more can come of it."""
        key, first_id = _key(group), group.first.client_order_id
        if group.is_open or group.unclosed() or expects_legs(group.first):
            self._groups.setdefault(key, {})[first_id] = group
        elif (found := self._groups.get(key)) is not None:
            found.pop(first_id, None)
            if not found:
                del self._groups[key]


def _key(group: Group) -> tuple[str, str]:
    return group.first.algorithm, group.first.symbol
