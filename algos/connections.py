"""What an algorithm's process is connected to; none of it is made by what uses it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from algos.settings import AlgoSettings
from bus.clock import Clock
from bus.connection import Client, connect
from bus.consume import GroupReader
from bus.halt import HaltWatch
from bus.lease import Lease
from bus.lease_keeper import LeaseKeeper
from bus.publish import Publisher
from bus.streams import STREAMS_PER_READER, algorithm_group, algorithm_lease, events


@dataclass(frozen=True)
class Connections:
    """The servers as one algorithm sees them."""

    client: Client
    lease: LeaseKeeper
    publisher: Publisher
    halts: HaltWatch
    market: Sequence[GroupReader]
    events: GroupReader

    @property
    def readers(self) -> tuple[GroupReader, ...]:
        """Every reader, the market's first."""
        return (*self.market, self.events)

    async def close(self) -> None:
        """Close what the readers and the lease do not close by themselves."""
        await self.publisher.close()
        await self.halts.close()
        await self.client.aclose()


def connections(settings: AlgoSettings, name: str, streams: Sequence[str], clock: Clock) -> Connections:
    """The connections of the algorithm of this name, which reads these market streams; none is opened yet."""
    url, process = settings.orders_redis_url, f"algo-{name}"
    client = connect(url, name=process)
    key, holder = algorithm_lease(settings.account, name), f"{process}-{os.getpid()}"
    lease = Lease(client, key, holder, clock=clock)
    keeper = LeaseKeeper(lease, other="another instance")
    own = [events(settings.account, name)]
    return Connections(
        client=client,
        lease=keeper,
        publisher=Publisher(url, lease, name=f"{process}-requests"),
        halts=HaltWatch(url, clock, name=f"{process}-control"),
        market=market_readers(settings.md_redis_url, settings.account, name, streams),
        events=GroupReader(url, own, algorithm_group(settings.account, name), start="0", name=process),
    )


def market_readers(url: str, account: str, name: str, streams: Sequence[str]) -> list[GroupReader]:
    """Readers over these streams, none with more than one connection should wait on."""
    return [
        GroupReader(
            url,
            streams[start : start + STREAMS_PER_READER],
            algorithm_group(account, name),
            name=f"algo-{name}",
            hears_of_cuts=True,
        )
        for start in range(0, len(streams), STREAMS_PER_READER)
    ]
