"""The broker's own halt: whether Alpaca refuses every order of the account, and how that is lifted."""

import asyncio

from bus.errors import BackboneError
from bus.settings import load
from oms.settings import OmsSettings

# How long a resume waits to hear of it.
_LOOK_S = 5.0


def require_keys() -> None:
    """Raise InvalidInput where the environment has no keys of Alpaca's."""
    load(OmsSettings).keys()


async def suspension(*, lift: bool) -> list[str]:
    """Sentences on a suspension that stands, or could not be lifted or looked at; lifted where asked for.

    Without keys nobody can look, and nothing is said.
    """
    from ops.flatten.at_broker import account_at_broker

    if not lift and load(OmsSettings).alpaca_api_key is None:
        return []
    try:
        async with asyncio.timeout(_LOOK_S), account_at_broker() as account:
            if not await account.broker.suspended():
                return ["the account was not suspended at Alpaca"] if lift else []
            if lift:
                await account.broker.suspend(False)
                return []
    except (BackboneError, TimeoutError) as error:
        return [f"whether the account is suspended at Alpaca is not known: {error or 'no answer in time'}"]
    return [
        f"Alpaca's account {account.number} is suspended (suspend_trade) and refuses every order: lift that "
        "with `backbone resume --lift-suspension --reason ...`"
    ]
