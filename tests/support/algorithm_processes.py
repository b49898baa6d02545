"""Algorithms as real processes, while the test plays ingest and the OMS."""

import json
import os
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import orjson
import redis
from waiting import wait_until

from bus import streams
from bus.codec import Message, MessageCodec
from bus.control_messages import CONTROL_MESSAGES
from bus.events import EVENTS
from bus.order_events import OrderApproved, OrderFilled, Registered
from bus.order_messages import REQUESTS, OrderRequest, OrderTerms

EVENT_CODEC, REQUEST_CODEC, CONTROL_CODEC = (
    MessageCodec(family) for family in (EVENTS, REQUESTS, CONTROL_MESSAGES)
)

ALGORITHMS = """
import os
from pathlib import Path
from threading import Event

from algos import Algorithm, Trade, parameter


class Buyer(Algorithm):
    symbols = ("AAPL",)
    quantity: int = parameter(1)

    def on_trade(self, trade: Trade) -> None:
        self.buy(trade.symbol, self.quantity)

    def on_fill(self, fill) -> None:
        Path(f"{os.environ['HERE']}/fills").open("a").write(f"{fill.execution_id} {self.positions}\\n")

    def on_kill_switch(self, message) -> None:
        Path(f"{os.environ['HERE']}/halts").open("a").write(f"{type(message).__name__} {message.scope}\\n")

    def on_gap(self, gap) -> None:
        Path(f"{os.environ['HERE']}/gaps").open("a").write(f"{gap.kind} {gap.symbol} {gap.channel}\\n")


class Everything(Buyer):
    symbols = ("*",)


class Failing(Buyer):
    def on_trade(self, trade: Trade) -> None:
        if trade.price == 13:
            raise RuntimeError("thirteen")
        self.buy(trade.symbol, 1)


class FailingKeeps(Failing):
    on_abort = "keep"


class Tidy(Buyer):
    def on_shutdown(self) -> None:
        for order in self.open_orders:
            self.cancel(order.client_order_id)

    def on_order(self, order) -> None:
        if not self.open_orders:
            self.acknowledge_shutdown()


class Stubborn(Buyer):
    def on_shutdown(self) -> None:
        pass


class Hung(Buyer):
    def on_trade(self, trade: Trade) -> None:
        Path(f"{os.environ['HERE']}/hung").touch()
        Event().wait()


class HungInShutdown(Buyer):
    def on_shutdown(self) -> None:
        Event().wait()


class Slow(Buyer):
    def on_trade(self, trade: Trade) -> None:
        Event().wait(0.02)


class Ticking(Algorithm):
    def prepare(self) -> None:
        self.every("0.05", "tick")

    def on_timer(self, timer) -> None:
        self.buy("AAPL", 1)
"""


class Processes:
    """Two servers, algorithms as processes, and the test in the place of ingest and the OMS."""

    def __init__(self, md_url: str, orders_url: str, here: Path) -> None:
        self.md = redis.Redis.from_url(md_url)
        self.orders = redis.Redis.from_url(orders_url)
        self.here = here
        (here / "mine.py").write_text(ALGORITHMS)
        self.environment = {
            **os.environ,
            "MD_REDIS_URL": md_url,
            "ORDERS_REDIS_URL": orders_url,
            "HERE": str(here),
        }
        self.processes: list[subprocess.Popen[str]] = []

    def run(self, class_name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "algos", f"{self.here}/mine.py:{class_name}", "--name", "a", *arguments],
            env=self.environment | variables,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def lead(self, class_name: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start an algorithm, register it as the OMS would, and wait until it leads."""
        self.tell(Registered(algorithm="a", at_ns=1))
        process = self.run(class_name, *arguments, **variables)
        self.wait_for_state("leader", process)
        return process

    def kill(self, process: subprocess.Popen[str]) -> None:
        """Kill a leader and let its lease run out at once."""
        process.kill()
        process.wait()
        self.orders.delete(streams.algorithm_lease("paper", "a"))

    def close(self) -> None:
        """Kill what still runs, and close the connections."""
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
        self.md.close()
        self.orders.close()

    def heartbeats(self, account: str = "paper") -> list[dict[str, object]]:
        """Those of every process that runs the algorithm, the latest last."""
        keys = list(self.orders.scan_iter(match=streams.alive(account, "algo-a", "*")))
        values = self.orders.mget(keys) if keys else []
        found = [orjson.loads(value) for value in values if value]  # type: ignore[union-attr]
        return sorted(found, key=lambda beat: beat["at_ns"])

    def heartbeat(self) -> dict[str, object]:
        return (self.heartbeats() or [{"state": "gone", "details": {}}])[-1]

    def wait_for_state(self, state: str, process: subprocess.Popen[str], account: str = "paper") -> None:
        def reached() -> bool:
            assert process.poll() is None or state == "gone", process.communicate()[1]
            own = [beat["state"] for beat in self.heartbeats(account) if beat["pid"] == process.pid]
            return own == [state] or (not own and state == "gone")

        wait_until(reached, f"state {state}")

    def detail(self, name: str) -> object:
        details = self.heartbeat()["details"] or {}
        assert isinstance(details, dict)
        return details.get(name)

    def counter(self, name: str) -> object:
        counters = self.detail("counters") or {}
        assert isinstance(counters, dict)
        return counters.get(name)

    def trade(self, price: int = 100, *, stream: str = "md:AAPL:trades", age_s: int = 0) -> str:
        data = json.dumps({"S": "AAPL", "p": str(price), "s": "1", "t": 1})
        received_ns = time.time_ns() - age_s * 1_000_000_000
        return self.md.xadd(stream, {"d": data, "r": str(received_ns)}).decode()  # type: ignore[union-attr]

    def tell(self, event: Message, account: str = "paper") -> None:
        kind, version, data = EVENT_CODEC.encode(event)
        fields = {"type": kind, "version": version, "data": data}
        self.orders.xadd(streams.events(account, "a"), fields)  # type: ignore[arg-type]

    def control(self, message: Message) -> None:
        kind, version, data = CONTROL_CODEC.encode(message)
        fields = {"type": kind, "version": version, "data": data}
        self.orders.xadd(streams.CONTROL, fields)  # type: ignore[arg-type]

    def requests(self, account: str = "paper") -> list[Message]:
        entries = self.orders.xrange(streams.requests(account, "a"))
        return [REQUEST_CODEC.decode(fields) for _, fields in entries]  # type: ignore[union-attr]

    def wait_for_requests(self, count: int, account: str = "paper") -> list[Message]:
        wait_until(lambda: len(self.requests(account)) >= count, f"{count} requests")
        return self.requests(account)

    def approve(self, client_order_id: str) -> None:
        self.tell(
            OrderApproved(
                algorithm="a",
                client_order_id=client_order_id,
                terms=OrderTerms(symbol="AAPL", side="buy", quantity=Decimal(1)),
                reserve_price=Decimal(100),
                trigger="t",
                received_ns=1,
                requested_ns=1,
                approved_ns=1,
            )
        )

    def fill(self, client_order_id: str, execution: str) -> None:
        self.tell(
            OrderFilled(
                algorithm="a",
                client_order_id=client_order_id,
                broker_order_id="b",
                execution_id=execution,
                symbol="AAPL",
                side="buy",
                quantity=Decimal(1),
                price=Decimal(100),
                filled_quantity=Decimal(1),
                status="filled",
                at_ns=1,
            )
        )

    def written(self, name: str) -> str:
        path = self.here / name
        return path.read_text() if path.exists() else ""

    def pending(self, stream: str = "md:AAPL:trades") -> int:
        found = self.md.xpending(stream, streams.algorithm_group("paper", "a"))
        return int(found["pending"])  # type: ignore[index]

    def wants(self) -> dict[str, list[str]]:
        """What the algorithm wants of ingest."""
        found = orjson.loads(self.orders.get(streams.wants("paper", "a")) or b"{}")  # type: ignore[arg-type]
        return dict(found)


def ids(requests: list[Message]) -> list[str]:
    return [request.client_order_id for request in requests if isinstance(request, OrderRequest)]
