"""Decides what it means that ingest spools, or cannot; each finding says what to do."""

from collections.abc import Sequence

from bus.heartbeat import Heartbeat, IngestDetails, UnreadableHeartbeat
from ops.doctor.rules import Finding
from ops.status.waiting import waiting_lines

_CHECK = "spool"
_DO_NOW = {
    "spool_unusable": "make room on that disk, or see to BACKBONE_INGEST_SPOOL_DIR",
    "spool_left": "start ingest once with the settings that it had then, or remove that directory",
    "spool_full": "bring the server back, or raise BACKBONE_INGEST_SPOOL_MB",
}


def spools(found: Sequence[Heartbeat | UnreadableHeartbeat]) -> list[Finding]:
    """Report what each ingest has on disk and what it lost there; nothing where none runs."""
    findings = []
    for one in found:
        if not isinstance(one, Heartbeat) or not isinstance(one.details, IngestDetails):
            continue
        problems = [f"{why.sentence}: {_DO_NOW[why.code]}" for why in one.reasons if why.code in _DO_NOW]
        lines = list(waiting_lines(one.details.feeds))
        if problems:
            findings.append(Finding(_CHECK, "problem", "; ".join(problems)))
        elif lines:
            findings.append(Finding(_CHECK, "warning", "; ".join(lines)))
        else:
            findings.append(Finding(_CHECK, "ok", f"{one.process}: nothing waits on disk"))
    return findings
