"""Makes trading statuses in the words of the two plans: CTA for tapes A and B, UTP for tape C."""

from bus.errors import InvalidInput
from sim.exchange.market_messages import Status

# Codes and words are those of Alpaca's page on real-time stock data.
_CTA_HALTS = {
    "D": "News Released",
    "I": "Order Imbalance",
    "M": "Limit Up-Limit Down (LULD) Trading Pause",
    "P": "News Pending",
    "X": "Operational",
    "Y": "Sub-Penny Trading",
    "1": "Market-Wide Circuit Breaker Level 1 - Breached",
    "2": "Market-Wide Circuit Breaker Level 2 - Breached",
    "3": "Market-Wide Circuit Breaker Level 3 - Breached",
}
_UTP_HALTS = {
    "T1": "Halt News Pending",
    "T2": "Halt News Dissemination",
    "T5": "Single Stock Trading Pause In Affect",
    "T6": "Regulatory Halt Extraordinary Market Activity",
    "T8": "Halt ETF",
    "T12": "Trading Halted; For information requested by NASDAQ",
    "H4": "Halt Non Compliance",
    "H9": "Halt Filings Not Current",
    "H10": "Halt SEC Trading Suspension",
    "H11": "Halt Regulatory Concern",
    "01": "Operations Halt, Contact Market Operations",
    "M1": "Corporate Action",
    "LUDP": "Volatility Trading Pause",
    "LUDS": "Volatility Trading Pause - Straddle Condition",
    "MWC1": "Market Wide Circuit Breaker Halt - Level 1",
    "MWC2": "Market Wide Circuit Breaker Halt - Level 2",
    "MWC3": "Market Wide Circuit Breaker Halt - Level 3",
}
_PAUSES = ("LUDP", "LUDS", "T5")
# Reasons by a name that holds for every tape: the code of CTA and that of UTP.
REASONS = {
    "news_pending": ("P", "T1"),
    "volatility": ("M", "LUDP"),
    "operational": ("X", "01"),
    "circuit_breaker": ("1", "MWC1"),
}


def halted(symbol: str, tape: str, reason: str, time_ns: int) -> Status:
    """Return the message of a halt, for a reason by name or by the tape's code.

    Raises InvalidInput naming the reasons of the tape.
    """
    is_utp = tape == "C"
    codes = _UTP_HALTS if is_utp else _CTA_HALTS
    code = REASONS[reason][is_utp] if reason in REASONS else reason
    if code not in codes:
        allowed = ", ".join((*REASONS, *codes))
        raise InvalidInput(f"reason is {reason!r}; allowed for {symbol} (tape {tape}): {allowed}")
    if not is_utp:
        status = ("2", "Trading Halt")
    elif code in _PAUSES:
        status = ("P", "Volatility Trading Pause")
    else:
        status = ("H", "Trading Halt")
    return Status(symbol, *status, code, codes[code], time_ns, tape)


def resumed(symbol: str, tape: str, time_ns: int) -> list[Status]:
    """Return the messages of a resumption: at Nasdaq quotes resume first, and then trades."""
    if tape != "C":
        return [Status(symbol, "3", "Resume", "", "", time_ns, tape)]
    return [
        Status(symbol, "Q", "Quotation Resumption", "", "", time_ns, tape),
        Status(symbol, "T", "Trading Resumption", "", "", time_ns, tape),
    ]
