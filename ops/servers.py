"""Checks the two servers that somebody named before anything is done with them."""

from bus.connection import require_servers
from bus.errors import InvalidInput
from ops.running import Servers


async def check(servers: Servers, *, shared: bool = True) -> None:
    """Raise InvalidInput, naming the variable, where a given server is not there or is too old.

    And where both are one, unless that is meant (`shared`).
    """
    are_two = await require_servers(servers.market, servers.orders, name="ops-check")
    if not are_two and not shared:
        raise InvalidInput(
            "MD_REDIS_URL and ORDERS_REDIS_URL are one server: a burst of market data could hold up the kill "
            "switch; use two, or say --shared"
        )
