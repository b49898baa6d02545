"""`backbone positions assign`: shares that are held already become another algorithm's."""

import asyncio
import json
import time
from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from bus.acting_user import acting_user
from bus.errors import InvalidInput
from oms.amounts import ZERO, text
from ops.ask_oms import ask_oms
from ops.given_reason import given_reason

_SYMBOL = Annotated[str, typer.Argument(help="the symbol")]
_QUANTITY = Annotated[str, typer.Argument(help="how many of them; of a short position, so much of it")]
_TO = Annotated[str, typer.Option("--to", help="whose they are to be: an algorithm, or `external`")]
_FROM = Annotated[str, typer.Option("--from", help="whose they are now: an algorithm, or `external`")]
_REASON = Annotated[str, typer.Option(help="why; it stays on record")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]

positions = typer.Typer(help="What algorithms hold.", no_args_is_help=True)


@positions.command()
def assign(
    symbol: _SYMBOL,
    quantity: _QUANTITY,
    to: _TO,
    reason: _REASON,
    giver: _FROM = "external",
    as_json: _JSON = False,
) -> None:
    """Make shares that the account holds another algorithm's, at the average price that they cost.

    Nothing is traded. Both algorithms are told, and their positions change at once (`on_booked`).

    Example: backbone positions assign AAPL 10 --to ma-cross --reason "bought before it ran"
    """
    from bus.book_messages import Booked
    from bus.control_messages import AssignPosition
    from bus.symbols import checked_symbol

    try:
        size = Decimal(quantity)
    except InvalidOperation:
        raise InvalidInput(f"QUANTITY is {quantity!r}: it must be a number above zero") from None
    if not size.is_finite() or size <= 0:
        raise InvalidInput(f"QUANTITY is {quantity}: it must be a number above zero")
    name, why = checked_symbol(symbol.upper()), given_reason(reason, "find their positions changed")

    def message(account: str) -> AssignPosition:
        return AssignPosition(
            account=account,
            symbol=name,
            quantity=size,
            giver=giver,
            taker=to,
            reason=why,
            by=acting_user(),
            at_ns=time.time_ns(),
        )

    told = asyncio.run(ask_oms("ops-positions", message, Booked, undone="nothing was assigned"))
    price = text(told.price or ZERO)
    if as_json:
        said = {"symbol": name, "quantity": text(size), "from": giver, "to": to, "average_price": price}
        print(json.dumps(said))
    else:
        print(f"{text(size)} {name} of {giver} are {to}'s now, at {price} each.")
