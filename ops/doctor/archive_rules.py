"""Decides what the facts about a journal and its archive mean; each finding says what to do."""

import msgspec

from ops.doctor.rules import Finding, Level

_CHECK = "journal's archive"

# Trading days end on at least one day of any five: a long weekend is four days.
_MOST_DAYS_BEHIND = 5

# Some 350,000 entries.
_LARGE_BYTES = 256 * 1024 * 1024


class ArchiveFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A journal of `entries` on the server, which take `size_bytes` there; the oldest is so many days old.

    `trimmed` counts entries that are in the archive alone, `trimmed_to` is the last of these. `root` is where
    archives are, "" where nobody said; `not_writable` says why it cannot be written, "" where it can.
    `files` are in the archive, the last of which ends with `archived_to`, some days ago. `broken` says what
    is missing in it or cannot be read, a sentence each.
    """

    entries: int
    size_bytes: int
    days: int
    keep_days: int
    trimmed: int = 0
    trimmed_to: str = ""
    root: str = ""
    not_writable: str = ""
    files: int = 0
    archived_to: str = ""
    archived_days_ago: int = 0
    broken: tuple[str, ...] = ()


def archive(facts: ArchiveFacts) -> Finding:
    """Report whether the journal is archived, and whether it could be folded again from there."""
    grown = f"{facts.entries:,} entries of {facts.days} days, {facts.size_bytes / 1e6:,.0f} MB, on the server"
    if not facts.root:
        return _without_archive(facts, grown)
    if facts.not_writable:
        return Finding(
            _CHECK, "problem", f"{facts.root} cannot be written ({facts.not_writable}): nothing is archived"
        )
    if facts.broken:
        return Finding(
            _CHECK,
            "problem",
            f"{'; '.join(facts.broken)}; bring it back from a copy, and see `backbone journal verify`",
        )
    if not facts.files:
        level: Level = "problem" if facts.trimmed else "warning"
        alone = f", and {facts.trimmed:,} entries up to {facts.trimmed_to} were to be in it alone"
        return Finding(
            _CHECK,
            level,
            f"{facts.root} holds nothing of this journal yet{alone if facts.trimmed else ''}: run `backbone "
            f"journal archive`; {grown}",
        )
    sentence = f"{facts.files} files up to {facts.archived_to}; {grown}"
    if facts.archived_days_ago > _MOST_DAYS_BEHIND:
        return Finding(
            _CHECK, "warning", f"it ends {facts.archived_days_ago} days ago: see the OMS's log; {sentence}"
        )
    if facts.days > facts.keep_days + _MOST_DAYS_BEHIND:
        return Finding(
            _CHECK,
            "warning",
            f"entries stay for {facts.keep_days} days and some are older: `backbone journal trim` says why; "
            f"{sentence}",
        )
    return Finding(_CHECK, "ok", sentence)


def _without_archive(facts: ArchiveFacts, grown: str) -> Finding:
    if facts.trimmed:
        return Finding(
            _CHECK,
            "problem",
            f"{facts.trimmed:,} entries up to {facts.trimmed_to} are in the archive alone, and "
            "BACKBONE_JOURNAL_ARCHIVE does not say where that is: another version does not start without it",
        )
    if facts.days > facts.keep_days or facts.size_bytes > _LARGE_BYTES:
        return Finding(
            _CHECK,
            "warning",
            f"{grown}, and it grows for ever: set BACKBONE_JOURNAL_ARCHIVE to a directory that is backed up",
        )
    return Finding(_CHECK, "ok", f"none; {grown}")
