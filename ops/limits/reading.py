"""Reads the limits in force and the book that they are held against, as a restart would: from the journal."""

from typing import TYPE_CHECKING

# Imported when a command runs, so that `--help` and other commands stay quick.
if TYPE_CHECKING:
    from bus.limit_messages import LimitChange
    from oms.limits.limits import Limits
    from oms.state.state import State


async def state() -> "State":
    """The state that the journal of the account here stands for now.

    Raises InvalidInput where nothing tells which account, or where no limits were ever in force.
    """
    from bus import logs
    from bus.errors import InvalidInput
    from bus.settings import load
    from oms.journal.fold import folded
    from oms.settings import OmsSettings
    from ops.orders_server import orders_server
    from ops.running import servers

    # Why a snapshot cannot be used, for one: what is printed is for people and scripts.
    logs.set_up("limits", level="warning")
    found = servers(orders_only=True)
    async with orders_server("ops-limits", found):
        archive = load(OmsSettings).journal_archive
        state = (await folded(found.orders, found.account, archive=archive)).state
    if state.limits is None:
        raise InvalidInput(
            f"account {found.account}: no limits are in force, for no OMS has started on it yet"
        )
    return state


async def differences(limits: "Limits") -> "tuple[LimitChange, ...]":
    """What would change if these limits came into force."""
    from oms.limits.limit_places import flat
    from oms.requests.limit_commands import loaded

    return loaded((await state()).limits_in_force, flat(limits.as_dict()))


async def doubts(algo: str | None, symbol: str | None) -> list[str]:
    """What may be wrong with the names for which a limit was set, each a sentence."""
    from ops.known_names import doubt, read_known_names
    from ops.orders_server import orders_server

    async with orders_server("ops-limits") as (client, _):
        known = await read_known_names(client)
    scopes = [
        *([f"algorithm:{algo}"] if algo is not None else []),
        *([f"symbol:{symbol.upper()}"] if symbol is not None else []),
    ]
    return [sentence for scope in scopes if (sentence := doubt(scope, known))]
