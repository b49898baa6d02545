"""`backbone corporate-action`: a split or a new name, told to the book before the broker's shares change."""

import asyncio
import json
import time
from typing import Annotated

import typer

from bus.acting_user import acting_user
from bus.errors import InvalidInput
from ops.ask_oms import ask_oms
from ops.given_reason import given_reason

_SYMBOL = Annotated[str, typer.Argument(help="the symbol")]
_NEW_SYMBOL = Annotated[str, typer.Argument(help="its new name")]
_RATIO = Annotated[str, typer.Argument(help="new for old shares: 4:1, or 1:10 for fewer")]
_REASON = Annotated[str, typer.Option(help="why; it stays on record")]
_JSON = Annotated[bool, typer.Option("--json", help="print one JSON object")]

corporate_action = typer.Typer(
    help="A split, or a new name of a symbol: book and limits follow.", no_args_is_help=True
)


@corporate_action.command()
def split(symbol: _SYMBOL, ratio: _RATIO, reason: _REASON, as_json: _JSON = False) -> None:
    """Count everyone's shares anew, at the same cost, and the limits that count shares of the symbol.

    Open orders are as the broker adjusts them. The limits file stays as it is: as long as it does, the new
    numbers hold, and once it says the same it has taken them over.

    Example: backbone corporate-action split AAPL 4:1 --reason "split of 2026-08-31"
    """
    new, colon, old = ratio.partition(":")
    if not (colon and new.isascii() and old.isascii() and new.isdecimal() and old.isdecimal()):
        raise InvalidInput(f"RATIO is {ratio!r}: write new for old shares, such as 4:1")
    if len(ratio) > 16:
        raise InvalidInput(f"RATIO is {ratio[:16]}...: no split has that many shares")
    _take(symbol.upper(), symbol.upper(), int(new), int(old), reason, as_json)


@corporate_action.command()
def rename(symbol: _SYMBOL, new_symbol: _NEW_SYMBOL, reason: _REASON, as_json: _JSON = False) -> None:
    """Have everyone's shares, and the limits of the symbol, go by its new name.

    Orders in it must have ended. The limits file stays as it is: as long as it does, the new name holds.

    Example: backbone corporate-action rename FB META --reason "renamed on 2022-06-09"
    """
    _take(symbol.upper(), new_symbol.upper(), 1, 1, reason, as_json)


def _take(symbol: str, new_symbol: str, new: int, old: int, reason: str, as_json: bool) -> None:
    from bus.book_messages import CorporateActionTaken
    from bus.control_messages import TakeCorporateAction
    from bus.symbols import checked_symbol

    why = given_reason(reason, "find their shares counted anew")
    name, new_name = checked_symbol(symbol), checked_symbol(new_symbol)

    def message(account: str) -> TakeCorporateAction:
        return TakeCorporateAction(
            account=account,
            symbol=name,
            new_symbol=new_name,
            new=new,
            old=old,
            reason=why,
            by=acting_user(),
            at_ns=time.time_ns(),
        )

    undone = "nothing was booked"
    told = asyncio.run(ask_oms("ops-corporate-action", message, CorporateActionTaken, undone=undone))
    if as_json:
        said = {"symbol": name, "new_symbol": new_name, "new": new, "old": old, "holders": told.holders}
        print(json.dumps(said))
        return
    what = f"{new} for {old} {name}" if name == new_name else f"{name} is {new_name} now"
    print(f"{what}: booked for {', '.join(told.holders) or 'nobody, for none holds it'}.")
    print(f"Change the limits file too where it names {name}. `backbone reconcile` asks the broker;")
    lift = f"backbone resume --symbol {name} --reason ..."
    print(f"where {name} was halted for the difference, `{lift}` lifts it.")
