"""Whatever happens between reader and server: each entry comes until acknowledged, and never after."""

import asyncio
from itertools import count
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from proxy import Proxy

from bus.connection import connect
from bus.consume import GroupReader
from bus.delivery import Delivery
from bus.embedded import EmbeddedServer

pytestmark = pytest.mark.property

_RUNS = count()
_GROUP = "algo:fuzzed"
_STREAMS = ("a", "b")


class DeliveryMachine(RuleBasedStateMachine):
    """A reader behind a proxy, and what it may and must deliver."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        # Streams of this run alone, in a server that is shared.
        self.streams = [f"run{next(_RUNS)}:{name}" for name in _STREAMS]
        self.runner = asyncio.Runner()
        self.client: Any = None
        self.reader: GroupReader
        self.proxy: Proxy
        self.published: set[tuple[str, str]] = set()
        self.acknowledged: set[tuple[str, str]] = set()
        self.confirmed: set[tuple[str, str]] = set()
        self.open: dict[tuple[str, str], Delivery] = {}
        self.delivered: list[tuple[str, str]] = []
        self.runner.run(self._set_up())

    async def _set_up(self) -> None:
        self.client = connect(self.url, name="publisher")
        self.proxy = await Proxy(self.url).__aenter__()
        await self._open_reader()

    async def _open_reader(self) -> None:
        self.reader = GroupReader(self.proxy.url, self.streams, _GROUP, start="0", count=3, block_ms=3)
        await self.reader.open()

    async def _read(self) -> list[Delivery]:
        found = await self.reader.deliveries()
        for one in found:
            key = (one.stream, one.id)
            assert key in self.published
            assert key not in self.confirmed, f"{one} came after its acknowledgement was confirmed"
            assert not one.trimmed
            self.open[key] = one
            self.delivered.append(key)
        return found

    async def _flush(self) -> None:
        await self.reader.flush()
        # The acknowledgements that left with a read are confirmed when its reply has come.
        await self._read()
        self.confirmed = set(self.acknowledged)

    @rule(stream=st.sampled_from((0, 1)), entries=st.integers(1, 5))
    def publish(self, stream: int, entries: int) -> None:
        async def add() -> None:
            name = self.streams[stream]
            for _ in range(entries):
                self.published.add((name, (await self.client.xadd(name, {"n": 1})).decode()))

        self.runner.run(add())

    @rule()
    def read(self) -> None:
        self.runner.run(self._read())

    @rule()
    def read_and_cancel(self) -> None:
        async def cancelled() -> None:
            reading = asyncio.ensure_future(self._read())
            await asyncio.sleep(0.001)
            reading.cancel()
            await asyncio.wait({reading})
            if not reading.cancelled():
                reading.result()

        self.runner.run(cancelled())

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.open)))
        self.reader.acknowledge(self.open.pop(key))
        self.acknowledged.add(key)

    @rule()
    def flush(self) -> None:
        self.runner.run(self._flush())

    @rule(pattern=st.sampled_from((b"XREADGROUP", b"XACK", b"XGROUP")), reply=st.booleans())
    def lose(self, pattern: bytes, reply: bool) -> None:
        (self.proxy.lose_reply if reply else self.proxy.lose_request)(pattern)

    @rule(noticed=st.booleans())
    def cut(self, noticed: bool) -> None:
        if noticed:
            self.proxy.cut()
        else:
            self.proxy.cut_unnoticed()

    @rule(stream=st.sampled_from((0, 1)))
    def lose_group(self, stream: int) -> None:
        async def lose() -> None:
            before = self.reader.recreated
            await self.client.xgroup_destroy(self.streams[stream], _GROUP)
            while self.reader.recreated == before:
                await self._read()

        self.runner.run(lose())

    @rule()
    def change_reader(self) -> None:
        async def change() -> None:
            await self.reader.close()
            self.confirmed = set(self.acknowledged)
            self.open.clear()
            await self._open_reader()

        self.runner.run(change())

    def teardown(self) -> None:
        try:
            self.runner.run(self._everything_came())
        finally:
            self.runner.run(self._leave())
            self.runner.close()

    async def _everything_came(self) -> None:
        await self._flush()
        await self.reader.close()
        await self._open_reader()
        self.delivered.clear()
        quiet = 0
        while quiet < 4:
            quiet = 0 if await self._read() else quiet + 1
        assert set(self.delivered) == self.published - self.acknowledged

    async def _leave(self) -> None:
        await self.reader.close()
        await self.proxy.__aexit__(None, None, None)
        await self.client.delete(*self.streams)
        await self.client.aclose()


def test_each_entry_comes_until_it_is_acknowledged_and_never_after(
    servers: tuple[EmbeddedServer, EmbeddedServer],
) -> None:
    DeliveryMachine.url = servers[0].url
    run_state_machine_as_test(
        DeliveryMachine,
        # Not shrunk: with a real server a failure depends on time, and shrinking would go on for minutes.
        settings=settings(max_examples=12, stateful_step_count=25, deadline=None, phases=[Phase.generate]),
    )
