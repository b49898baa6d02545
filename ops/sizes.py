"""Formats sizes for people. Pure."""

MB = 1024 * 1024


def megabytes(size_bytes: int, *, decimals: int = 0) -> str:
    """Format a size, in megabytes of 1024 * 1024 bytes: `1,200 MB`."""
    return f"{size_bytes / MB:,.{decimals}f} MB"
