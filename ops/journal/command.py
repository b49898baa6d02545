"""`backbone journal`: export, import, verify, archive, trim, and take a journal as it is."""

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

_ARCHIVE = typer.Option(
    "--archive", metavar="DIR", help="where archives are (default: BACKBONE_JOURNAL_ARCHIVE)"
)
_AS_JSON = typer.Option("--json", help="print one JSON object")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help=_HELP, no_args_is_help=True)
    group.command("export")(export)
    group.command("import")(import_)
    group.command("verify")(verify)
    group.command("archive")(archive)
    group.command("trim")(trim)
    group.command("begin-chain")(begin_chain)
    app.add_typer(group, name="journal")


def export(
    file: Annotated[str, typer.Argument(help="where to write; - for standard output, .gz to compress")],
    first: Annotated[str, typer.Option("--from", metavar="ID", help="the first entry (default: all)")] = "-",
    last: Annotated[
        str, typer.Option("--to", metavar="ID", help="the last entry (default: up to now)")
    ] = "+",
    archive: Annotated[Path | None, _ARCHIVE] = None,
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Write the journal as lines of JSON, byte for byte; the OMS may run.

    Of one that was trimmed the archive and the stream make one file, as if it were whole.
    tools/verify_journal.py of the source verifies such a file and needs nothing of ours.

    Example: backbone journal export journal.jsonl.gz
    """
    from ops.journal.export import exported

    with _ended_by_ctrl_c():
        found = asyncio.run(exported(file, first, last, archive))
    _tell(found, found.told(), as_json, to_stderr=file == "-")


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="files of `journal export`, oldest first, or a directory of an archive"
        ),
    ],
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Write an exported journal into an account that has none, all of it or nothing.

    It is verified first. What each algorithm was told is written anew where it is missing too. Nobody who
    writes for the account may be alive: OMS, ingest, algorithms. The OMS compares it with the broker when it
    starts; where the journal was known to go on after the end of the file, it says so and halts the account.

    Example: backbone journal import archive/paper/1767225600000-0 journal-since.jsonl
    """
    from ops.journal.restore import restored

    with _ended_by_ctrl_c():
        found = asyncio.run(restored(files))
    told = "".join(f"\nWhat algorithm {name} was told is written anew." for name in found.algorithms)
    if not found.halts_known:
        told += "\nNo orders are taken before `backbone resume --reason ...`: this server has no halt state."
    _tell(
        found, f"{found.entries:,} entries written to {found.stream}, the last {found.head_id}{told}", as_json
    )


def verify(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...]",
            help="files of `journal export`, oldest first, or a directory of an archive "
            "(default: the journal itself)",
        ),
    ] = None,
    head: Annotated[
        str,
        typer.Option(metavar="HASH", help="an entry must have this hash, noted while it was the last"),
    ] = "",
    archive: Annotated[Path | None, _ARCHIVE] = None,
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Tell whether every entry is what was written; the first that is not is named, and the exit code is 1.

    A chain proves nothing against somebody who may write to the server and writes a new one. Note a head now
    and then where none of them writes: `backbone status --json` has it, and the market-data server keeps it.

    A journal that was trimmed is followed from where its stream begins; with its archive from its first
    entry, and all of the archive is held against it.

    Example: backbone journal verify --archive archive --head 5c1f…
    """
    from ops.journal.verify import verified

    with _ended_by_ctrl_c():
        found = asyncio.run(verified(files or [], head, archive))
    _tell(found, found.told(), as_json)
    if not found.is_good:
        raise typer.Exit(1)


def archive(
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="where archives are (default: BACKBONE_JOURNAL_ARCHIVE)"),
    ] = None,
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Copy what the journal has and its archive has not, to DIR/<account>/<the journal's first entry>.

    At any time, while the OMS works, and again: what is there stays. Each file is read back before it counts,
    and is named by its first and last entry. It may be killed at any moment. Nothing is taken from the
    journal.

    Example: backbone journal archive --to /backup/journals
    """
    from ops.journal.archive import brought_up_to_now

    with _ended_by_ctrl_c("ended; what was copied counts"):
        found = asyncio.run(brought_up_to_now(to))
    copied = f"{found.entries:,} entries in {len(found.segments)} files" if found.entries else "nothing new"
    _tell(
        found, f"{copied}; {found.directory} ends with {found.head_id}, whose hash is {found.head}", as_json
    )


def trim(
    archive: Annotated[Path | None, _ARCHIVE] = None,
    keep_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=36_500,
            metavar="DAYS",
            help="entries that are younger stay (default: BACKBONE_JOURNAL_KEEP_DAYS, 30)",
        ),
    ] = None,
    as_json: Annotated[bool, _AS_JSON] = False,
) -> None:
    """Take entries from the journal's beginning that its archive holds: they free the server's memory.

    Only what the archive, verified from its first entry on, holds; what stands before a snapshot that is
    verified; what is older than DAYS; and what every OMS has read. The OMS may run, and it may be killed at
    any moment. The archive is a part of the journal from then on: another version of this program folds it
    again at its first start, by BACKBONE_JOURNAL_ARCHIVE.

    Example: backbone journal trim --archive /backup/journals --keep-days 30
    """
    from bus import logs
    from ops.journal.archive import trimmed_now

    logs.set_up("journal", level="warning")
    with _ended_by_ctrl_c("ended; what was taken away by then is in the archive"):
        found = asyncio.run(trimmed_now(archive, keep_days))
    taken = (
        f"{found.entries:,} entries up to {found.until_id} are in the archive alone now"
        if found.entries
        else f"nothing to trim: {found.why}"
    )
    _tell(found, f"{taken}; {found.stream} has {found.left:,}", as_json)


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
def _ended_by_ctrl_c(told: str = "ended; nothing was written") -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(told, err=True)
        raise typer.Exit(130) from None
