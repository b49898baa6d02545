"""Reads the file of risk limits."""

from pathlib import Path

from bus.errors import InvalidInput
from oms.limits.limits import Limits, parse


def read_limits(path: Path) -> Limits:
    """The limits of a file. Raises InvalidInput that names it."""
    try:
        content = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"limits file {path}: {reason}; give one that can be read") from error
    return parse(content, str(path))
