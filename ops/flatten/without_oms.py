"""`backbone flatten --without-oms`: the broker's own close of all, where no OMS is alive."""

import json
import sys
import time

import typer

from bus import control
from bus.acting_user import acting_user
from bus.connection import connect
from bus.control_messages import Flatten
from bus.errors import BackboneError, InvalidInput
from bus.halt_state import scope_of
from oms.broker.protocol import BrokerError
from ops.flatten.at_broker import AtBroker, Left, account_at_broker, close_all, size_of


async def run(reason: str, wait_s: float, *, yes: bool, suspend: bool, as_json: bool) -> int:
    """Close the whole account at the broker; returns the exit code. Raises BackboneError."""
    async with account_at_broker() as account:
        if account.alive:
            raise InvalidInput(
                f"an OMS of account {account.name} is alive: {account.alive}. It would order against this: "
                "use `backbone flatten` without --without-oms, or stop it first"
            )
        await _confirmed(account, yes=yes)
        await _told(account, reason)
        try:
            left = await close_all(account.broker, wait_s)
            if suspend and not left.positions:
                await account.broker.suspend(True)
        except BrokerError as error:
            raise BackboneError(
                f"{error}. What the broker did is not known: look at its own front end before you try again"
            ) from error
    suspended = suspend and not left.positions
    if as_json:
        _print_json(account, left, reason, suspended=suspended)
    else:
        for line in lines(account, left, suspended=suspended, suspend=suspend):
            print(line)
    return 1 if left.positions else 0


async def _confirmed(account: AtBroker, *, yes: bool) -> None:
    """Ask whoever typed it, unless they said yes. Raises InvalidInput where nobody can be asked."""
    if account.doubt:
        print(
            f"WARNING: whether an OMS is alive could not be found out ({account.doubt}); one that cannot "
            "reach its orders server sends nothing",
            file=sys.stderr,
        )
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("nobody is there to confirm it: say --yes")
    held = await account.broker.positions()
    shown = ", ".join(f"{size_of(one)} {one.symbol}" for one in held) or "no position"
    typer.confirm(
        f"Cancel every order and close every position of Alpaca's {account.trading.upper()} account "
        f"{account.number}: {shown}?",
        abort=True,
        err=True,
    )


async def _told(account: AtBroker, reason: str) -> None:
    """Put it on record in control, where that can be reached: whoever orders hears of it."""
    if not account.orders_url or account.doubt:
        return
    scope, by = scope_of(account=account.name), acting_user()
    client = connect(account.orders_url, name="ops-flatten")
    try:
        await control.tell(client, Flatten(scope=scope, reason=reason, by=by, at_ns=time.time_ns()))
    finally:
        await client.aclose()


def lines(account: AtBroker, left: Left, *, suspended: bool, suspend: bool) -> list[str]:
    """What came of it, for people."""
    whose = f"Alpaca's {account.trading} account {account.number}"
    found = [
        f"{symbol}: {size} left, "
        + (left.refused.get(symbol) or "its order is at the broker and not filled: is the market open?")
        for symbol, size in sorted(left.positions.items())
    ]
    if left.positions:
        found.append(f"{whose} is NOT flat.")
        if suspend:
            found.append("It is not suspended: that would refuse the orders which close the rest.")
    else:
        found.append(f"{whose} is flat.")
    if suspended:
        found.append("It refuses every order until `backbone resume --lift-suspension --reason ...`.")
    found.append(
        "The OMS books what happened as made elsewhere when it starts. So that nothing trades then: "
        "`backbone halt --reason ...` before."
    )
    return found


def _print_json(account: AtBroker, left: Left, reason: str, *, suspended: bool) -> None:
    body = {
        "command": "CloseAll",
        "account_number": account.number,
        "trading": account.trading,
        "reason": reason,
        "flat": not left.positions,
        "left": left.positions,
        "refused": left.refused,
        "suspended": suspended,
    }
    print(json.dumps(body))
