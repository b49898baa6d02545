"""`python -m sim`: read the arguments, bind the ports, print the addresses, serve until a signal."""

import asyncio
import json
import signal
import sys
from typing import Any

import uvloop

from bus.errors import InvalidInput
from sim import arguments
from sim.server import Sockets, addresses, bind, serve
from sim.settings import Settings
from sim.simulator import Simulator


def main(argv: list[str] | None = None) -> int:
    """Run the simulator; returns the exit code: 0 after a signal, 2 for bad input."""
    try:
        settings = arguments.read(argv)
        sockets = bind(settings)
    except InvalidInput as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(settings, sockets))
    except InvalidInput as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    finally:
        sockets.public.close()
        sockets.control.close()
    return 0


async def _run(settings: Settings, sockets: Sockets) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    simulator = Simulator(settings)
    _announce(settings, addresses(settings, sockets))
    await serve(simulator, sockets, stop)


def _announce(settings: Settings, found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n" if settings.prints_json else _for_people(found))
    sys.stdout.flush()


def _for_people(found: dict[str, Any]) -> str:
    accounts = found.pop("accounts", [])
    places = "".join(f"  {name:<20} {value}\n" for name, value in found.items())
    for other in accounts[1:]:
        places += f"  {'another account':<20} {other['key']} {other['secret']}\n"
    client = f'TradingClient("{found["key"]}", "{found["secret"]}", url_override="{found["trading_url"]}")'
    return (
        f"An Alpaca look-alike is running; Ctrl-C ends it.\n\n{places}\n"
        f"With alpaca-py:\n  {client}\n\n"
        f"What can go wrong, and how to make it:\n  curl {found['control_url']}/faults\n"
    )


if __name__ == "__main__":
    sys.exit(main())
