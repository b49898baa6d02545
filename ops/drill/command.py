"""`backbone drill`: what is promised for the worst day, tried on a simulator and measured."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ops.drill.takeover import Outcome

_HELP = """Try what is promised for the worst day, on servers and a simulator of its own, and measure it.

Example: backbone drill takeover --times 10
"""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.callback(help=_HELP)(_drills)
    group.command()(takeover)
    app.add_typer(group, name="drill")


def _drills() -> None:
    """One command is a group too, for those that come."""


def takeover(
    times: Annotated[int, typer.Option(min=0, help="how often the leading OMS is killed")] = 10,
    stall_minutes: Annotated[
        float, typer.Option(min=0, help="then stop leader, server and standby for 400 ms by turns, so long")
    ] = 0,
    rate: Annotated[float, typer.Option(min=0.1, max=1000, help="orders asked for a second")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Kill the leading OMS under load, and measure how long it takes until its standby decides.

    From the kill to the next decision in the journal: at most a second in 99 of 100 kills. With
    --stall-minutes neither leader, server nor standby is killed but each is stopped for 400 ms by turns,
    which must move nothing. At the end book, algorithm and the simulator's ledger are compared: every order
    that was asked for is answered, and none is there twice. Exit code 1 where any of it was not kept.
    Nothing of yours is touched.

    Example: backbone drill takeover --times 100
    """
    from ops.drill.takeover import run

    def say(text: str) -> None:
        if not as_json:
            print(text, file=sys.stderr)

    outcome = asyncio.run(run(times, stall_minutes, rate, say))
    _print(outcome, as_json)
    raise typer.Exit(0 if outcome.passed else 1)


def _print(outcome: "Outcome", as_json: bool) -> None:
    import msgspec

    times_s = outcome.takeovers_s
    shown = {f"p{percent}_s": outcome.percentile(percent) for percent in (50, 99, 100)} if times_s else {}
    if as_json:
        body = {"passed": outcome.passed, **shown, **msgspec.to_builtins(outcome)}
        print(msgspec.json.encode(body).decode())
        return
    if times_s:
        print(
            f"takeovers: {len(times_s)}, decided again after {shown['p50_s'] * 1000:.0f} ms (p50), "
            f"{shown['p99_s'] * 1000:.0f} ms (p99), {shown['p100_s'] * 1000:.0f} ms at the most"
        )
    if outcome.stalls:
        print(f"stalls of 400 ms: {outcome.stalls}, takeovers by them: {outcome.false_takeovers}")
    print(f"orders asked for: {outcome.asked}; book, algorithm and ledger ", end="")
    print("agree" if not outcome.differences else "differ:")
    for sentence in outcome.differences:
        print(f"  {sentence}")
    print("passed" if outcome.passed else "NOT PASSED")
