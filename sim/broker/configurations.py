"""Reads and changes an account's settings: GET and PATCH /v2/account/configurations."""

from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

import msgspec

from sim.amounts import plain
from sim.refusals import malformed

EMAILS = ("all", "none")
CHECKS = ("both", "entry", "exit")
MULTIPLIERS = (1, 2, 4)
OPTIONS_LEVELS = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Configurations:
    """The settings in force; `max_margin_multiplier` is the highest margin multiplier: 1, 2 or 4."""

    fractional_trading: bool = True
    max_margin_multiplier: int = 4
    max_options_trading_level: int | None = None
    no_shorting: bool = False
    ptp_no_exception_entry: bool = False
    suspend_trade: bool = False
    trade_confirm_email: str = "all"
    disable_overnight_trading: bool = False


class ConfigurationsRequest(msgspec.Struct, frozen=True):
    """The body of PATCH; what is absent or null stays as it is.

    `dtbp_check` and `pdt_check` are checked and have no effect: the day-trading rules that they are about
    ended in July 2026, and Alpaca no longer shows them.
    """

    fractional_trading: bool | None = None
    max_margin_multiplier: Decimal | None = None
    max_options_trading_level: int | None = None
    no_shorting: bool | None = None
    ptp_no_exception_entry: bool | None = None
    suspend_trade: bool | None = None
    trade_confirm_email: str | None = None
    disable_overnight_trading: bool | None = None
    dtbp_check: str | None = None
    pdt_check: str | None = None


def changed(configurations: Configurations, request: ConfigurationsRequest) -> Configurations:
    """Return the settings after the request. Raises Refused (422) naming the field that cannot be set so."""
    _check("dtbp_check", request.dtbp_check, CHECKS)
    _check("pdt_check", request.pdt_check, CHECKS)
    _check("trade_confirm_email", request.trade_confirm_email, EMAILS)
    _check("max_margin_multiplier", request.max_margin_multiplier, MULTIPLIERS)
    _check("max_options_trading_level", request.max_options_trading_level, OPTIONS_LEVELS)
    given: dict[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(request).items()
        if value is not None and name not in ("dtbp_check", "pdt_check")
    }
    if request.max_margin_multiplier is not None:
        given["max_margin_multiplier"] = int(request.max_margin_multiplier)
    return replace(configurations, **given)


def configurations_json(configurations: Configurations) -> dict[str, Any]:
    """Return the settings as Alpaca shows them; the multiplier is a string."""
    multiplier = plain(Decimal(configurations.max_margin_multiplier))
    return asdict(configurations) | {"max_margin_multiplier": multiplier}


def _check(name: str, value: object, allowed: tuple[object, ...]) -> None:
    is_number = isinstance(value, Decimal) and not value.is_finite()
    if value is not None and (is_number or value not in allowed):
        raise malformed(f"{name} value is invalid; allowed: {', '.join(map(str, allowed))}")
