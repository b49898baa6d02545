"""Writes amounts as Alpaca does: strings in plain notation without trailing zeros."""

from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
SMALLEST_QTY = Decimal("0.000000001")


def plain(amount: Decimal) -> str:
    """Return the amount without an exponent and without trailing zeros: Decimal("5.00") is "5"."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def plain_or_none(amount: Decimal | None) -> str | None:
    """Return `plain` of the amount, or None where there is none."""
    return None if amount is None else plain(amount)


def cents(amount: Decimal) -> str:
    """Return the amount rounded to whole cents."""
    return plain(amount.quantize(CENT, ROUND_HALF_UP))


def is_finer(amount: Decimal, step: Decimal) -> bool:
    """Return whether the amount has more decimals than the step, a power of ten, allows.

    It looks at the digits: arithmetic would round amounts of hundreds of digits or with extreme exponents.
    """
    _, digits, exponent = amount.as_tuple()
    allowed = step.as_tuple().exponent
    assert isinstance(exponent, int), "an amount is a finite number"
    assert isinstance(allowed, int), "a step is a finite number"
    beyond = allowed - exponent
    return beyond > 0 and any(digits[-beyond:])
