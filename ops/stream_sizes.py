"""The streams that a server holds, and how many entries each has."""

from bus.connection import Client


async def stream_names(client: Client) -> list[str]:
    """The name of every stream on a server, in order."""
    return sorted([name.decode() async for name in client.scan_iter(count=500, _type="stream")])


async def stream_sizes(client: Client) -> dict[str, int]:
    """How many entries each stream of a server holds."""
    names = await stream_names(client)
    async with client.pipeline(transaction=False) as pipeline:
        for name in names:
            pipeline.xlen(name)
        return dict(zip(names, await pipeline.execute(), strict=True))
