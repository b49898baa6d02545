"""`backbone journal`: export, import, verify, and take a journal as it is."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ops.given_reason import given_reason

_HELP = """The journal as a file and back, and whether it is what was written.

Example: backbone journal verify
"""

_AS_JSON = typer.Option("--json", help="print one JSON object")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.command("export")(export)
    group.command("import")(import_)
    group.command("verify")(verify)
    group.command("begin-chain")(begin_chain)
    app.add_typer(group, name="journal")


def export(
    file: Annotated[str, typer.Argument(help="where to write; - for standard output, .gz to compress")],
    first: Annotated[str, typer.Option("--from", metavar="ID", help="the first entry (default: all)")] = "-",
    last: Annotated[
        str, typer.Option("--to", metavar="ID", help="the last entry (default: up to now)")
    ] = "+",
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Write the journal as lines of JSON, byte for byte; the OMS may run.

    tools/verify_journal.py of the source verifies such a file and needs nothing of ours.

    Example: backbone journal export journal.jsonl.gz
    """
    from ops.journal.export import exported

    with _ended_by_ctrl_c():
        found = asyncio.run(exported(file, first, last))
    _tell(
        found,
        f"{found.entries:,} entries of {found.stream}, the last {found.head_id} with hash {found.head}",
        as_json,
        to_stderr=file == "-",
    )


def import_(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="files of `journal export`, oldest first")
    ],
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Write an exported journal into an account that has none, all of it or nothing.

    It is verified first. What each algorithm was told is written anew where it is missing too. Nobody who
    writes for the account may be alive: OMS, ingest, algorithms. The OMS compares it with the broker when it
    starts; where the journal was known to go on after the end of the file, it says so and halts the account.

    Example: backbone journal import journal-2026-01.jsonl.gz journal-since.jsonl
    """
    from ops.journal.restore import restored

    with _ended_by_ctrl_c():
        found = asyncio.run(restored(files))
    told = "".join(f"\nWhat algorithm {name} was told is written anew." for name in found.algorithms)
    _tell(
        found, f"{found.entries:,} entries written to {found.stream}, the last {found.head_id}{told}", as_json
    )


def verify(
    file: Annotated[
        str | None, typer.Argument(help="a file of `journal export` (default: the journal itself)")
    ] = None,
    head: Annotated[
        str,
        typer.Option(metavar="HASH", help="an entry must have this hash, noted while it was the last"),
    ] = "",
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Tell whether every entry is what was written; the first that is not is named, and the exit code is 1.

    A chain proves nothing against somebody who may write to the server and writes a new one. Note a head now
    and then where none of them writes: `backbone status --json` has it, and the market-data server keeps it.

    Example: backbone journal verify --head 5c1f…
    """
    from ops.journal.verify import verified

    with _ended_by_ctrl_c():
        found = asyncio.run(verified(file, head))
    _tell(found, found.told(), as_json)
    if not found.is_good:
        raise typer.Exit(1)


def begin_chain(
    reason: Annotated[str, typer.Option(help="why; it stands in the journal")],
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Take a journal as it is although its chain is broken: the OMS starts on it again.

    For a journal that was damaged and of which there is no copy. What was wrong stays named: by the entry
    that this writes, and by every `verify`. The OMS must not run.

    Example: backbone journal begin-chain --reason "disk error, no copy; positions compared by hand"
    """
    from ops.journal.begin_chain import begun

    found = asyncio.run(begun(given_reason(reason, "read the journal")))
    _tell(found, f"The chain begins anew at {found.entry_id}; before it: {found.wrong}", as_json)


def _tell(found: object, text: str, as_json: bool, *, to_stderr: bool = False) -> None:
    import msgspec

    typer.echo(msgspec.json.encode(found).decode() if as_json else text, err=to_stderr)


@contextlib.contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("ended; nothing was written", err=True)
        raise typer.Exit(130) from None
