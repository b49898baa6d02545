"""Runs an OMS inside a test, with algorithms, prices and broker messages written by hand."""

import asyncio
import contextlib
import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from engine_run import frame
from fake_broker import FakeBroker
from waiting import until

from bus import halt, streams
from bus.codec import Message, MessageCodec
from bus.connection import connect
from bus.control_messages import Halt, ReduceOnly, Resume
from bus.events import EVENTS
from bus.lease import Lease
from bus.order_events import OrdersRefused
from bus.order_messages import (
    REQUESTS,
    CancelRequest,
    OrderRequest,
    OrderTerms,
    ReplaceRequest,
)
from bus.publish import Publisher
from bus.service import Service
from bus.settings import load
from oms import startup
from oms.broker.protocol import Broker
from oms.journal.journal import Journal
from oms.limits.limits import Limits, parse
from oms.service import Oms
from oms.settings import DEFAULT_LIMITS, OmsSettings

ACCOUNT = "paper"
# What a journal begins with, where one algorithm comes to an empty account.
FIRST_KINDS = ("AccountPinned", "CashOpened", "LimitsChanged", "HaltsRead", "Registered")

EVENT_CODEC = MessageCodec(EVENTS)
REQUEST_CODEC = MessageCodec(REQUESTS)


def limits_text(**changes: object) -> str:
    """The default limits file with some numbers changed, wherever they stand; repetition is not counted."""
    changes = {"repeated_seconds": 0} | changes
    lines = []
    for line in DEFAULT_LIMITS.read_text().splitlines():
        name = line.split(" = ")[0]
        lines.append(f"{name} = {changes[name]}" if name in changes else line)
    return "\n".join(lines)


def limits_with(**changes: object) -> Limits:
    """The default limits with some numbers changed."""
    return parse(limits_text(**changes), "limits")


def client_order_id(algorithm: str, number: int | str) -> str:
    """An id of the form that algorithms make."""
    return f"bb-{algorithm}-{hashlib.sha256(str(number).encode()).hexdigest()[:32]}"


def market_order(quantity: str = "10", side: str = "buy", symbol: str = "AAPL") -> OrderTerms:
    """A market order."""
    return OrderTerms(symbol=symbol, side="buy" if side == "buy" else "sell", quantity=Decimal(quantity))


def limit_order(price: str, quantity: str = "10", side: str = "buy", symbol: str = "AAPL") -> OrderTerms:
    """A limit order."""
    return OrderTerms(
        symbol=symbol,
        side="buy" if side == "buy" else "sell",
        type="limit",
        quantity=Decimal(quantity),
        limit_price=Decimal(price),
    )


class Trader:
    """An algorithm's side: its lease, its requests, the events it was told."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.client = connect(url, name=f"algo-{name}")
        self.lease = Lease(self.client, streams.algorithm_lease(ACCOUNT, name), f"algo-{name}", ttl_ms=60_000)
        self.publisher = Publisher(url, self.lease, name=f"algo-{name}")

    async def open(self) -> None:
        """Register and lead."""
        await self.client.hset(streams.algorithms(ACCOUNT), self.name, json.dumps({"lineage": "00"}))
        assert await self.lease.acquire()
        await until(lambda: self._told("Registered"), f"{self.name} to be registered")

    async def order(self, number: int | str, terms: OrderTerms, **changes: Any) -> str:
        """Ask for an order; returns its client id."""
        request = self.request(number, terms, **changes)
        await self.send(request)
        return request.client_order_id

    def request(self, number: int | str, terms: OrderTerms, **changes: Any) -> OrderRequest:
        """A request, not yet sent."""
        now_ns = time.time_ns()
        values: dict[str, Any] = {
            "client_order_id": client_order_id(self.name, number),
            "terms": terms,
            "lease": self.lease.value,
            "trigger": str(number),
            "received_ns": now_ns,
            "requested_ns": now_ns,
        }
        return OrderRequest(**(values | changes))

    async def cancel(self, order_id: str) -> None:
        """Ask for a cancel."""
        await self.send(
            CancelRequest(client_order_id=order_id, lease=self.lease.value, requested_ns=time.time_ns())
        )

    async def replace(self, order_id: str, number: int | str, terms: OrderTerms) -> str:
        """Ask for a replace; returns the new client id."""
        new_id = client_order_id(self.name, number)
        now_ns = time.time_ns()
        await self.send(
            ReplaceRequest(
                client_order_id=new_id,
                replaces=order_id,
                terms=terms,
                lease=self.lease.value,
                trigger=str(number),
                received_ns=now_ns,
                requested_ns=now_ns,
            )
        )
        return new_id

    async def send(self, *messages: Message) -> None:
        """Append requests, several of them at once."""
        stream = streams.requests(ACCOUNT, self.name)
        await self.publisher.append([(stream, REQUEST_CODEC.encode(message)) for message in messages])

    async def events(self, order_id: str | None = None) -> list[Any]:
        """What it was told so far; of one order where one is named."""
        found = await self.client.xrange(streams.events(ACCOUNT, self.name))
        messages = [EVENT_CODEC.decode(fields) for _, fields in found]
        if order_id is None:
            return messages
        return [one for one in one_by_one(messages) if getattr(one, "client_order_id", None) == order_id]

    async def told(self, order_id: str, kind: str) -> Any:
        """The first event of this kind about an order, once it is there."""

        async def there() -> bool:
            return any(type(event).__name__ == kind for event in await self.events(order_id))

        try:
            await until(there, f"{kind} of {order_id}")
        except AssertionError as error:
            raise AssertionError(f"{error}; it was told {await self.events(order_id)}") from error
        return next(event for event in await self.events(order_id) if type(event).__name__ == kind)

    async def _told(self, kind: str) -> bool:
        return any(type(event).__name__ == kind for event in await self.events())

    async def close(self) -> None:
        """Give the lease back and close the connections."""
        await self.lease.release()
        await self.publisher.close()
        await self.client.aclose()


def one_by_one(events: Iterable[Any]) -> list[Any]:
    """The same events, with an OrderRefused for each order that was refused together with others."""
    return [
        single
        for event in events
        for single in (event.one_by_one() if isinstance(event, OrdersRefused) else (event,))
    ]


async def add_price(market: Any, symbol: str, price: str, age_s: float = 0.0) -> None:
    """A trade on the tape."""
    data = {"S": symbol, "p": float(price), "s": 100, "t": time.time_ns()}
    received_ns = time.time_ns() - int(age_s * 1e9)
    await market.xadd(streams.market(symbol, "trades"), {"d": json.dumps(data), "r": str(received_ns)})


class Running:
    """An OMS at work, and what a test does around it. Mutable: `is_judged`, whether it looked at the end."""

    def __init__(self, oms: Oms, broker: Any, task: "asyncio.Task[None]", client: Any, market: Any) -> None:
        self.oms = oms
        self.broker = broker
        self._task = task
        self.is_judged = False
        self.client = client
        self.market = market

    @property
    def task(self) -> "asyncio.Task[None]":
        """The OMS's life. Who looks at it judges how it ended; where nobody does, an end by itself fails."""
        self.is_judged = True
        return self._task

    @property
    def book(self) -> Any:
        """The book in memory."""
        return self.oms.engine.state.book

    @property
    def counts(self) -> Counter[str]:
        """How often what happened."""
        observed = self.oms.engine.observed
        return observed.counts + Counter({kind.__name__: count for kind, count in observed.events.items()})

    async def ready(self) -> None:
        """Wait until orders are taken."""
        await until(lambda: self._task.done() or self.oms.service.state == "ready", "the OMS to be ready")
        if self._task.done():
            self._task.result()

    async def price(self, symbol: str, price: str, age_s: float = 0.0) -> None:
        """A trade on the tape."""
        await add_price(self.market, symbol, price, age_s)

    async def status(self, symbol: str, code: str, reason_code: str = "", reason: str = "") -> None:
        """A trading status on the tape."""
        data = {"S": symbol, "sc": code, "sm": "", "rc": reason_code, "rm": reason, "t": time.time_ns()}
        await self.market.xadd(
            streams.market(symbol, "statuses"), {"d": json.dumps(data), "r": str(time.time_ns())}
        )

    async def broker_message(self, data: bytes, kind: str = "TradeUpdate") -> None:
        """An entry of the account stream, as ingest writes it."""
        fields = {"type": kind, "version": "1", "data": data, "r": str(time.time_ns())}
        await self.client.xadd(streams.account(ACCOUNT), fields)

    async def fill(self, order_id: str, quantity: str, price: str, execution: str) -> None:
        """A fill at the broker, and the update that tells of it."""
        order = self.broker.fill(order_id, quantity, price)
        event = "fill" if order.status == "filled" else "partial_fill"
        await self.broker_message(frame(order, event, execution_id=execution, qty=quantity, price=price))

    async def halt(self, scope: str = "all", mode: type[Halt] | type[ReduceOnly] = Halt) -> None:
        """Halt a scope, and wait until the OMS has seen it."""
        await halt.change(self.client, mode(scope=scope, reason="a test", by="tester", at_ns=time.time_ns()))
        await until(lambda: scope in self.oms.halts.state.scopes, "the halt to be seen")

    async def resume(self, scope: str = "all") -> None:
        """Lift a halt, and wait until the OMS has seen it."""
        await halt.change(
            self.client, Resume(scope=scope, reason="a test", by="tester", at_ns=time.time_ns())
        )
        await until(lambda: scope not in self.oms.halts.state.scopes, "the resume to be seen")

    async def account_acknowledged(self) -> bool:
        """Whether every entry of the account stream was read and is acknowledged."""
        (group,) = await self.client.xinfo_groups(streams.account(ACCOUNT))
        return bool(group["pending"] == 0 and group["lag"] == 0)

    async def journal(self) -> list[Any]:
        """Every event in the journal."""
        found = await self.client.xrange(streams.journal(ACCOUNT))
        return [EVENT_CODEC.decode(fields) for _, fields in found]

    async def stop(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.oms.service.stop("the test is over")
        await asyncio.wait_for(self._task, 20)


@contextlib.asynccontextmanager
async def starting(
    md_url: str,
    orders_url: str,
    broker: Broker | None = None,
    *,
    limits: Limits | None = None,
    make_journal: Callable[..., Journal] = Journal,
    **settings: Any,
) -> AsyncIterator[Running]:
    """An OMS that starts, with a price of AAPL at 100; stopped at the end."""
    client, market = connect(orders_url, name="test"), connect(md_url, name="test")
    used = FakeBroker() if broker is None else broker
    held = limits or limits_with(price_age_seconds=3600)
    directory = tempfile.TemporaryDirectory(prefix="bb-limits-")
    values = {"md_redis_url": md_url, "orders_redis_url": orders_url, **settings}
    values.setdefault("oms_limits", _written(held, Path(directory.name) / "limits.toml"))
    found = load(OmsSettings, **values)
    service = Service("oms", found.account)
    oms = Oms(service, found, held, used, make_journal)
    task = asyncio.create_task(startup.live(oms))
    run = Running(oms, used, task, client, market)
    try:
        await run.price("AAPL", "100")
        yield run
        if not task.done():
            await run.stop()
        elif not run.is_judged:
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await client.aclose()
        await market.aclose()
        directory.cleanup()


def _written(limits: Limits, path: Path) -> Path:
    """A file of these limits."""
    path.write_text("".join(f"{key} = {_toml(value)}\n" for key, value in limits.as_dict().items()))
    return path


def _toml(value: Any) -> str:
    """A value of a limits file; a table in one line, a number without quotes."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{json.dumps(key)} = {_toml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    is_number = isinstance(value, str) and value.replace(".", "", 1).isdecimal()
    return str(value) if is_number else json.dumps(value)


@contextlib.asynccontextmanager
async def running(
    md_url: str, orders_url: str, broker: Broker | None = None, **settings: Any
) -> AsyncIterator[Running]:
    """The same once it is ready."""
    async with starting(md_url, orders_url, broker, **settings) as run:
        await run.ready()
        yield run


@contextlib.asynccontextmanager
async def trading(url: str, name: str = "alpha") -> AsyncIterator[Trader]:
    """An algorithm that leads."""
    trader = Trader(url, name)
    try:
        await trader.open()
        yield trader
    finally:
        await trader.close()


async def bought(md_url: str, orders_url: str, broker: FakeBroker, number: int = 1, **settings: Any) -> str:
    """Run an OMS for as long as it takes to buy ten shares; the state's digest at its end."""
    async with running(md_url, orders_url, broker, **settings) as oms, trading(orders_url) as algo:
        order = await algo.order(number, limit_order("99", "10"))
        await algo.told(order, "OrderSent")
        await oms.fill(order, "10", "98.5", f"e{number}")
        await algo.told(order, "OrderFilled")
        await oms.stop()
        return oms.oms.engine.digest()
