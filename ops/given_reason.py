"""The reason that an operator gives: it stays on record, so it must say something."""

from bus.errors import InvalidInput


def given_reason(reason: str, readers: str) -> str:
    """The reason without spaces around it. Raises InvalidInput for none; `readers` are whom it is for."""
    if not reason.strip():
        raise InvalidInput(f"--reason is empty: say why, for those who {readers}")
    return reason.strip()
