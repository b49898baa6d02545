"""Sums a run up: one JSON object for programs, one table for people."""

import msgspec

from ops.durations import span
from ops.status.totals import RunTotals, refusals


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one run, named as in the JSON object; all counts are of this run alone.

    `failed` has a sentence for each algorithm that ended for good, or again and again, or aborted.
    """

    seconds: float
    messages_in: int
    streams: dict[str, int]
    requests: int
    approved: int
    refused: dict[str, int]
    sent: int
    fills: int
    latency_us: dict[str, dict[str, float | None]]
    restarts: dict[str, int]
    gaps: int
    dead: int
    halted: bool
    consistent: bool
    differences: list[str]
    failed: list[str]

    def as_json(self) -> str:
        """Encode it as one line."""
        return msgspec.json.encode(self).decode()


def summary(
    totals: RunTotals,
    *,
    seconds: float,
    entries: dict[str, int],
    restarts: dict[str, int],
    gaps: int,
    markers: int,
    dead: int,
    halted: bool,
    differences: list[str],
    failed: list[str],
) -> Summary:
    """Make the summary of a run from its totals and the entries that each stream gained."""
    return Summary(
        seconds=round(seconds, 3),
        # Without gap markers, which are no messages, and without md-all, which repeats the same entries.
        messages_in=sum(count for name, count in entries.items() if name.startswith("md:")) - markers,
        streams=dict(sorted(entries.items())),
        requests=totals.requests,
        approved=totals.approved,
        refused=refusals(totals.refused),
        sent=totals.sent,
        fills=totals.fills,
        latency_us=totals.latencies.percentiles_us(),
        restarts=restarts,
        gaps=gaps,
        dead=dead,
        halted=halted,
        consistent=not differences,
        differences=differences,
        failed=failed,
    )


def lines(found: Summary) -> list[tuple[str, str]]:
    """Return the rows of the table, each a name and a value."""
    latency = found.latency_us
    refused = ", ".join(f"{count} {code}" for code, count in found.refused.items())
    restarts = ", ".join(f"{name} {count}" for name, count in found.restarts.items())
    return [
        ("ran for", f"{found.seconds:.1f} s"),
        ("market messages", f"{found.messages_in:,}"),
        ("streams", f"{len(found.streams)}"),
        ("orders asked for", f"{found.requests:,}"),
        ("approved", f"{found.approved:,}"),
        ("refused", refused or "0"),
        ("sent to the broker", f"{found.sent:,}"),
        ("fills", f"{found.fills:,}"),
        ("tick → request", span(latency["tick_to_request"])),
        ("request → approved", span(latency["request_to_approved"])),
        ("tick → approved", span(latency["tick_to_approved"])),
        ("approved → sent", span(latency["approved_to_sent"])),
        ("restarts", restarts or "none"),
        ("gaps in market data", f"{found.gaps}"),
        ("dead entries", f"{found.dead}"),
        ("halted at the end", "yes" if found.halted else "no"),
        ("algorithms that failed", f"{len(found.failed)}"),
        ("books agree", "yes" if found.consistent else "NO"),
    ]
