"""`backbone account`: begin anew after a paper account was reset."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bus.acting_user import acting_user
from bus.errors import InvalidInput
from ops.given_reason import given_reason

if TYPE_CHECKING:
    from bus.connection import Client

_HELP = """Set the journal of an account aside, and begin anew.

Example: backbone account begin-anew --reason "the paper account was reset"
"""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.callback(help=_HELP)(_nothing_else)
    group.command("begin-anew")(begin_anew)
    app.add_typer(group, name="account")


def _nothing_else() -> None:
    """One command is a group too, for those that come."""


def begin_anew(
    reason: Annotated[str, typer.Option(help="why; it stands at the end of the journal that is kept")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object; needs --yes")] = False,
) -> None:
    """Set the journal aside, so that the next start begins a new one: for a paper account that was reset.

    A reset gives a paper account another number, and a journal belongs to one. Set aside with it are the
    events and requests of each algorithm, the account stream and the registry; all stay readable under
    `kept:{<account>}:<number>-<time>:`. What algorithms hold and have earned begins at nothing. Halts stay
    as they are. Nobody who writes for the account may be alive: OMS, ingest, algorithms.

    It speaks to ORDERS_REDIS_URL where that is set, else to the server that `backbone up` keeps for the
    account.

    Example: backbone account begin-anew --reason "the paper account was reset" --yes
    """
    why = given_reason(reason, "read the journal that is kept")
    if not yes and (as_json or not sys.stdin.isatty()):
        raise InvalidInput("--yes is missing, and nobody can be asked here: say it, or ask in a terminal")
    asyncio.run(_begin_anew(why, yes, as_json))


async def _begin_anew(reason: str, yes: bool, as_json: bool) -> None:
    import msgspec

    from ops.account.journal import set_aside
    from ops.account_server import server_of_account

    async with server_of_account("ops-account") as (client, account, _):
        if not yes:
            await _ask(client, account)
        found = await set_aside(client, account, reason=reason, by=acting_user())
    if as_json:
        print(msgspec.json.encode(found).decode())
        return
    print(f"Set aside: {len(found.kept)} keys of account {account}, Alpaca's account {found.number}.")
    print(f"The journal is kept as {found.journal}")
    print("The next start begins a new one; halts are as they were.")


async def _ask(client: "Client", account: str) -> None:
    from ops.account.journal import require_set_aside_is_possible

    found = await require_set_aside_is_possible(client, account)
    whose = "of no known number" if found is None else f"{found.number} ({found.trading})"
    typer.confirm(
        f"The journal of account {account}, Alpaca's account {whose}, is set aside; "
        "its algorithms forget what they hold. Go on?",
        abort=True,
    )
