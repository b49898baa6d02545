"""A process that lives as services do: `python service_child.py URL MODE`; each step is a line on stdout."""

import asyncio
import sys

from bus import logs
from bus.errors import InvalidInput, ServerRefused
from bus.heartbeat import AlgorithmDetails, State
from bus.service import Service, live, run, run_together

GRACE_S = 0.3


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


async def main() -> None:
    url, mode = sys.argv[1:]
    service = Service("child", "paper")
    service.details = AlgorithmDetails(algorithm="child", open_orders=3)

    async def body() -> None:
        service.tell(State.READY)
        say("running")
        if mode == "bad-input":
            raise InvalidInput("symbol 'x': write it as Alpaca does")
        if mode == "both-bad":
            await run_together(fail(InvalidInput("first")), fail(ServerRefused("second")))
        if mode == "refused":
            raise ServerRefused("OOM")
        if mode == "defect":
            raise ZeroDivisionError("a defect")
        if mode == "returns":
            return
        if mode == "hung":
            try:
                await asyncio.Event().wait()
            finally:
                say("cancelled")
        await service.stopping.wait()
        say(f"stopping: {service.stop_reason}")

    try:
        await live(service, url, body, grace_s=GRACE_S)
    finally:
        say("ended")


async def fail(error: Exception) -> None:
    raise error


logs.set_up("child", level="error")
sys.exit(run(main))
