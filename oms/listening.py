"""What the OMS sees of feeds, market-data server and algorithms: read once a second."""

from bus import streams
from bus.connection import Client
from bus.heartbeat import Heartbeat, IngestDetails, decode
from bus.write_probe import require_writes
from oms.book.ledger import Ledger
from oms.prices.prices import Prices
from oms.state.inputs import Listened

# Well within what anything may be away for.
LISTEN_S = 1.0


async def listened(client: Client, account: str, prices: Prices, ledger: Ledger) -> Listened:
    """Read the heartbeats of the account and prices of what it holds. Raises ServerAway and ServerRefused.

    A feed that two ingests name is connected where one of them has it. Without any ingest no feed is named:
    whether there is to be one is not known. While the server takes no writes heartbeats run out that are
    nobody's silence: RefusedForNow is raised, and nothing was seen.
    """
    await require_writes(client)
    held = ledger.holdings()
    readable = await prices.refresh(sorted(held))
    keys = [key.decode() async for key in client.scan_iter(match=streams.heartbeats(), count=500)]
    names = {key: streams.heartbeat_names(key) for key in keys}
    ours = [key for key, (of, _, _) in names.items() if of in (account, "")]
    values = await client.mget(ours) if ours else []
    feeds: dict[str, bool] = {}
    alive: set[str] = set()
    for key, value in zip(ours, values, strict=True):
        if value is None:
            continue
        _, process, instance = names[key]
        alive.add(process.removeprefix("algo-"))
        heartbeat = decode(process, instance, value)
        if isinstance(heartbeat, Heartbeat) and isinstance(heartbeat.details, IngestDetails):
            for kind, feed in heartbeat.details.feeds.items():
                feeds[kind] = feeds.get(kind, False) or feed.connected
    return Listened(feeds, readable, frozenset(alive), prices.last(held))
