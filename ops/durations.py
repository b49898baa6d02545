"""Formats durations for people."""


def span(percentiles: dict[str, float | None]) -> str:
    """Format the percentiles of a latency: `410 µs (p99 1.2 ms)`."""
    middle, high = percentiles["p50"], percentiles["p99"]
    if middle is None or high is None:
        return "-"
    return f"{duration(middle)} (p99 {duration(high)})"


def duration(microseconds: float) -> str:
    """Format a duration in the unit that suits its size."""
    if microseconds < 1_000:
        return f"{microseconds:.0f} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    return f"{microseconds / 1_000_000:.2f} s"
