"""Reading through a consumer group until what is expected has come."""

from waiting import until

from bus.consume import GroupReader
from bus.delivery import Delivery


async def take(reader: GroupReader, count: int) -> list[Delivery]:
    """Read until so many entries came, and hold that no more did."""
    found: list[Delivery] = []

    async def enough() -> bool:
        found.extend(await reader.deliveries())
        return len(found) >= count

    await until(enough, f"{count} deliveries")
    assert len(found) == count
    return found
