"""What a run came to: one JSON object for programs, one table for people."""

import msgspec

from ops.status.totals import Tally, refusals


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The names are those of the JSON object; all counts are of this run alone."""

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

    def as_json(self) -> str:
        """One line."""
        return msgspec.json.encode(self).decode()


def summary(
    tally: Tally,
    *,
    seconds: float,
    entries: dict[str, int],
    restarts: dict[str, int],
    gaps: int,
    markers: int,
    dead: int,
    halted: bool,
    differences: list[str],
) -> Summary:
    """The summary of a run, from its tally and what each stream gained (`entries`)."""
    return Summary(
        seconds=round(seconds, 3),
        # Gap markers are ours, and md-all carries the same entries again, for readers of everything.
        messages_in=sum(count for name, count in entries.items() if name.startswith("md:")) - markers,
        streams=dict(sorted(entries.items())),
        requests=tally.requests,
        approved=tally.approved,
        refused=refusals(tally.refused),
        sent=tally.sent,
        fills=tally.fills,
        latency_us=tally.latencies.percentiles_us(),
        restarts=restarts,
        gaps=gaps,
        dead=dead,
        halted=halted,
        consistent=not differences,
        differences=differences,
    )


def lines(found: Summary) -> list[tuple[str, str]]:
    """The rows of the table: what, and how much."""
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
        ("books agree", "yes" if found.consistent else "NO"),
    ]


def span(percentiles: dict[str, float | None]) -> str:
    """A latency for people: `410 µs (p99 1.2 ms)`."""
    middle, high = percentiles["p50"], percentiles["p99"]
    if middle is None or high is None:
        return "-"
    return f"{duration(middle)} (p99 {duration(high)})"


def duration(microseconds: float) -> str:
    """A duration in the unit that a person would choose."""
    if microseconds < 1_000:
        return f"{microseconds:.0f} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    return f"{microseconds / 1_000_000:.2f} s"
