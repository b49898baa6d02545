"""Halts and resumptions in the words of the two plans."""

import pytest

from bus.errors import InvalidInput
from sim.exchange.statuses import REASONS, halted, resumed

NOW_NS = 1_800_000_000_000_000_000


@pytest.mark.parametrize(
    ("tape", "reason", "told"),
    [
        ("C", "news_pending", ("H", "Trading Halt", "T1", "Halt News Pending")),
        ("C", "T12", ("H", "Trading Halt", "T12", "Trading Halted; For information requested by NASDAQ")),
        ("C", "volatility", ("P", "Volatility Trading Pause", "LUDP", "Volatility Trading Pause")),
        ("A", "news_pending", ("2", "Trading Halt", "P", "News Pending")),
        ("B", "volatility", ("2", "Trading Halt", "M", "Limit Up-Limit Down (LULD) Trading Pause")),
    ],
)
def test_a_halt_has_the_codes_of_its_tape(tape: str, reason: str, told: tuple[str, str, str, str]) -> None:
    status = halted("X", tape, reason, NOW_NS)
    assert (
        status.status_code, status.status_message, status.reason_code, status.reason_message,
    ) == told  # fmt: skip
    assert (status.tape, status.time_ns) == (tape, NOW_NS)


@pytest.mark.parametrize("tape", ["A", "B", "C"])
@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_with_a_name_is_known_to_every_tape(tape: str, reason: str) -> None:
    assert halted("X", tape, reason, NOW_NS).reason_message


@pytest.mark.parametrize(("tape", "reason"), [("A", "T1"), ("C", "P"), ("C", ""), ("B", "boredom")])
def test_a_reason_of_the_other_tape_is_no_reason(tape: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=r"reason is .*allowed for X"):
        halted("X", tape, reason, NOW_NS)


def test_at_nasdaq_quotes_come_back_before_trades() -> None:
    assert [status.status_code for status in resumed("X", "C", NOW_NS)] == ["Q", "T"]
    assert [status.status_code for status in resumed("X", "A", NOW_NS)] == ["3"]
