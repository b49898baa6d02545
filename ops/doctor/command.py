"""`backbone doctor`: what is wrong with the set-up, in sentences, and what to do about it."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ops.doctor.rules import Finding


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    shared: Annotated[
        bool, typer.Option("--shared", help="one server for market data and orders is meant so")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say what is wrong, and what to do.

    Checks keys, the market calendar, servers, durability, room for market data, clocks, halts, limits, leases
    and directories.

    The exit code is 1 where something is a problem, 0 for warnings.

    Example: backbone doctor --json
    """
    from ops.doctor.checks import run_checks

    findings = asyncio.run(run_checks(shared=shared))
    _print(findings, as_json)
    raise typer.Exit(1 if any(finding.level == "problem" for finding in findings) else 0)


def _print(findings: "list[Finding]", as_json: bool) -> None:
    if as_json:
        import msgspec

        healthy = all(finding.level != "problem" for finding in findings)
        print(msgspec.json.encode({"healthy": healthy, "findings": findings}).decode())
        return
    from rich.console import Console
    from rich.text import Text

    styles = {"ok": "green", "warning": "yellow", "problem": "bold red"}
    console = Console(soft_wrap=True)
    for finding in findings:
        console.print(
            Text.assemble(
                (f"{finding.level:<8}", styles[finding.level]), f" {finding.check}: {finding.sentence}"
            )
        )
