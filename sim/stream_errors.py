"""The errors of the market-data websocket, by number, in Alpaca's words."""

from typing import Any

ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    408: "v2 not enabled",
    409: "insufficient subscription",
    410: "invalid subscribe action for this feed",
    411: "insufficient scope",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
    500: "internal error",
}


def error(code: int) -> dict[str, Any]:
    """Return the control message of an error."""
    return {"T": "error", "code": code, "msg": ERRORS[code]}
