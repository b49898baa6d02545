"""Formats durations for people."""

_DAY_S = 86_400


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


def long_duration(seconds: float) -> str:
    """Format seconds to days, rounded to the unit that suits: `90 s`, `3 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 3 * _DAY_S else f"{seconds / _DAY_S:.0f} days"
