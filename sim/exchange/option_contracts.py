"""Option contracts by their OCC symbols, and roughly what each is worth."""

import math
import re
from dataclasses import dataclass
from datetime import date, timedelta

_OCC = re.compile(r"([A-Z]{1,6})(\d{6})([CP])(\d{8})")
_STRIKES_EACH_SIDE = 2
_YEARLY_VOLATILITY = 0.3
_AT_THE_MONEY = 0.4  # of volatility times the root of time: the value of an option at the money


@dataclass(frozen=True, slots=True)
class Contract:
    """A right to buy (call) or sell (put) a hundred shares; the strike is in thousandths of a dollar."""

    root: str
    expires_on: date
    is_call: bool
    strike_mills: int

    @property
    def symbol(self) -> str:
        """Its OCC symbol: root, expiry, C or P, and the strike in eight digits."""
        right = "C" if self.is_call else "P"
        return f"{self.root}{self.expires_on:%y%m%d}{right}{self.strike_mills:08d}"


def parse(symbol: str) -> Contract | None:
    """Return the contract of an OCC symbol; None where it is none."""
    found = _OCC.fullmatch(symbol)
    if found is None:
        return None
    digits = found[2]
    try:
        expires_on = date(2000 + int(digits[:2]), int(digits[2:4]), int(digits[4:]))
    except ValueError:
        return None
    return Contract(found[1], expires_on, found[3] == "C", int(found[4]))


def monthly_expiry(day: date) -> date:
    """Return the next third Friday, which may be today."""
    for month in (day.replace(day=1), (day.replace(day=1) + timedelta(32)).replace(day=1)):
        friday = month + timedelta((4 - month.weekday()) % 7 + 14)
        if friday >= day:
            return friday
    raise AssertionError("there is a third Friday in every month")


def listed(root: str, price: float, day: date) -> list[Contract]:
    """Return the contracts that trade by default: the next month's, five strikes around the price."""
    step = 1_000 if price < 50 else 2_500 if price < 200 else 5_000
    middle = max(_STRIKES_EACH_SIDE + 1, round(price * 1000 / step)) * step
    return [
        Contract(root, monthly_expiry(day), is_call, middle + number * step)
        for number in range(-_STRIKES_EACH_SIDE, _STRIKES_EACH_SIDE + 1)
        for is_call in (True, False)
    ]


def value(contract: Contract, price: float, day: date) -> float:
    """Return a plausible value in dollars at a share's price: the intrinsic value plus a time value."""
    strike = contract.strike_mills / 1000
    inner = max(0.0, price - strike if contract.is_call else strike - price)
    years = ((contract.expires_on - day).days + 1) / 365
    width = price * _YEARLY_VOLATILITY * math.sqrt(years)
    return inner + _AT_THE_MONEY * width * math.exp(-(((price - strike) / (1.5 * width)) ** 2))
