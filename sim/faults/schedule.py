"""Draws a schedule of faults from a seed: one after the other, with quiet times between."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bus.errors import InvalidInput
from sim.faults.fields import BAD_QUOTES, HELD_STATES
from sim.faults.kinds import KINDS, parse

_MARKETS = ("stocks", "crypto")
_STREAMS = (*_MARKETS, "trade_updates")
_ON = ("submit", "replace", "cancel", "trading")
_YES_NO = (True, False)
_A_FEW = (1, 2, 3)
_SHORT_S = (1, 2, 3)

# The values drawn for each field: a client that reconnects, asks again and reconciles gets through them.
# Every fault ends by itself within seconds, even where nothing meets it.
DRAWS: dict[str, dict[str, tuple[Any, ...]]] = {
    "disconnect": {"stream": _STREAMS, "seconds": (None, *_SHORT_S)},
    "mute": {"stream": _STREAMS, "seconds": _SHORT_S},
    "connection_limit": {"stream": _STREAMS, "seconds": _SHORT_S},
    "stale_session": {"stream": _STREAMS, "seconds": _SHORT_S},
    "handshake_429": {"stream": _STREAMS, "count": _A_FEW, "seconds": _SHORT_S},
    "no_deflate": {"stream": _STREAMS, "seconds": _SHORT_S},
    "no_pong": {"stream": _STREAMS, "seconds": _SHORT_S},
    "slow_client": {"stream": _STREAMS},
    "end_events": {},
    "drop_mid_frame": {"stream": _STREAMS},
    "huge_frame": {"stream": _STREAMS},
    "unknown_type": {"stream": _STREAMS},
    "trickle": {"stream": _STREAMS, "bytes": (16, 64, 256), "ms": (1, 5), "seconds": _SHORT_S},
    "duplicate_messages": {"stream": _MARKETS, "seconds": _SHORT_S},
    "out_of_order_messages": {"stream": _MARKETS, "seconds": _SHORT_S},
    "lost_messages": {"stream": _MARKETS, "count": (1, 10, 100), "seconds": _SHORT_S},
    "late_messages": {"stream": _MARKETS, "ms": (50, 200, 800), "seconds": _SHORT_S},
    "rate_limit": {"count": _A_FEW, "api": ("trading", "data"), "seconds": _SHORT_S},
    "accept_then_504": {"count": _A_FEW, "seconds": _SHORT_S},
    "error_500": {"count": _A_FEW, "seconds": _SHORT_S},
    "http_error": {
        "status": (500, 502, 503, 504), "count": _A_FEW, "on": _ON, "accepted": _YES_NO, "html": _YES_NO,
        "seconds": _SHORT_S,
    },
    "reset": {"count": _A_FEW, "on": _ON, "accepted": _YES_NO, "seconds": _SHORT_S},
    "truncated": {"count": _A_FEW, "on": _ON, "seconds": _SHORT_S},
    "hang": {"count": (1,), "ms": (500, 2000), "on": _ON, "accepted": _YES_NO, "seconds": _SHORT_S},
    "latency": {"ms": (20, 100, 400), "at": ("request", "response"), "seconds": _SHORT_S},
    "duplicate_updates": {"seconds": _SHORT_S},
    "out_of_order_updates": {"seconds": _SHORT_S},
    "update_before_response": {"seconds": _SHORT_S},
    "lost_updates": {"count": _A_FEW, "seconds": _SHORT_S},
    "late_updates": {"ms": (50, 300), "seconds": _SHORT_S},
    "unknown_status": {"count": (1,), "seconds": _SHORT_S},
    "unknown_event": {"count": (1,), "seconds": _SHORT_S},
    "reject_order": {"count": (1,), "seconds": _SHORT_S},
    "reject_cancel": {"count": (1,), "seconds": _SHORT_S},
    "reject_replace": {"count": (1,), "seconds": _SHORT_S},
    "hold_order": {"state": HELD_STATES, "ms": (100, 500), "count": (1,), "seconds": _SHORT_S},
    "partial_fills": {"chance": (0, 1), "seconds": _SHORT_S},
    "price_jump": {"percent": (-10, -3, 3, 10)},
    "bad_quote": {"quote": BAD_QUOTES},
    "halt": {"seconds": _SHORT_S},
    "correct_trade": {},
    "cancel_trade": {},
    "clock_skew": {"skew_ms": (-2000, -100, 100, 2000), "seconds": _SHORT_S},
}  # fmt: skip


def chosen(text: str | None) -> tuple[str, ...]:
    """Return the kinds of a comma-separated list, or all that can be drawn. Raises InvalidInput."""
    names = tuple(DRAWS) if text is None else tuple(dict.fromkeys(text.split(",")))
    for name in names:
        if name not in DRAWS:
            raise InvalidInput(f"{name!r} is no fault of chaos; allowed: {', '.join(DRAWS)}")
    return names


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault and when it begins, in milliseconds after the run began."""

    at_ms: int
    fault: dict[str, Any]


def schedule(
    rng: random.Random, names: Sequence[str], symbols: Sequence[str], every_ms: int
) -> Iterator[Planned]:
    """Yield faults without end, of these kinds; those with a symbol get one of these, or are left out.

    Between the end of one and the begin of the next there is a quiet time of half to one and a half of
    `every_ms`. Raises InvalidInput at the first where every kind needs a symbol and there are none.
    """
    end_ms = 0
    possible = [name for name in names if symbols or "symbol" not in KINDS[name].fields]
    if not possible:
        listed = ", ".join(names)
        raise InvalidInput(
            f"--chaos-faults: {listed} needs a share, and none is generated; allowed: other faults"
        )
    while True:
        at_ms = end_ms + rng.randint(every_ms // 2, every_ms + every_ms // 2)
        name = rng.choice(possible)
        fields = {field: rng.choice(values) for field, values in DRAWS[name].items()}
        if "symbol" in KINDS[name].fields:
            fields["symbol"] = rng.choice(symbols)
        yield Planned(at_ms, parse({"fault": name} | fields))
        end_ms = at_ms + 1000 * (fields.get("seconds") or 0)
