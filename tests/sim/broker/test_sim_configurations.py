"""The settings that the owner of an account may change."""

from typing import Any

import msgspec
import pytest

from sim.broker.configurations import Configurations, ConfigurationsRequest, changed, configurations_json
from sim.refusals import Refused


def patched(before: Configurations = Configurations(), **fields: Any) -> Configurations:  # noqa: B008
    return changed(before, msgspec.json.decode(msgspec.json.encode(fields), type=ConfigurationsRequest))


def test_a_new_account_may_do_everything() -> None:
    assert configurations_json(Configurations()) == {
        "disable_overnight_trading": False,
        "fractional_trading": True,
        "max_margin_multiplier": "4",
        "max_options_trading_level": None,
        "no_shorting": False,
        "ptp_no_exception_entry": False,
        "suspend_trade": False,
        "trade_confirm_email": "all",
    }


def test_what_is_given_changes_and_the_rest_stays() -> None:
    before = patched(no_shorting=True)
    after = patched(before, max_margin_multiplier="2", trade_confirm_email="none", suspend_trade=None)
    assert (after.no_shorting, after.max_margin_multiplier, after.trade_confirm_email) == (True, 2, "none")
    assert configurations_json(after)["max_margin_multiplier"] == "2"
    assert patched(after, max_margin_multiplier=1, max_options_trading_level=3).max_options_trading_level == 3


def test_what_the_account_shows_can_be_sent_back() -> None:
    before = patched(suspend_trade=True, max_margin_multiplier=2)
    assert patched(Configurations(), **configurations_json(before)) == before


def test_the_old_day_trading_checks_are_taken_and_do_nothing() -> None:
    assert patched(pdt_check="entry", dtbp_check="both") == Configurations()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_margin_multiplier", 3),
        ("max_margin_multiplier", "NaN"),
        ("max_margin_multiplier", "sNaN"),
        ("max_margin_multiplier", "1e400"),
        ("max_options_trading_level", 4),
        ("trade_confirm_email", "some"),
        ("pdt_check", "never"),
        ("dtbp_check", ""),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(Refused, match=f"{field} value is invalid; allowed: ") as refused:
        patched(**{field: value})
    assert (refused.value.status, refused.value.body["code"]) == (422, 40010001)
