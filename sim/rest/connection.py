"""HTTP connections whose errors, also those below any handler, have Alpaca's shape."""

from typing import Any

import orjson
from aiohttp import web
from aiohttp.web_request import BaseRequest

_CLIENTS_DOING = (ConnectionError, web.RequestPayloadError)


class Connection(web.RequestHandler):
    """One connection; what is no HTTP is answered like every other refusal, and is no news for the log."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what no handler could; only an error of our own is logged."""
        if isinstance(exc, _CLIENTS_DOING):
            status, message = 400, "request body is broken off"
        if status >= 500:
            self.log_exception("a request failed", exc_info=exc)
            message = "internal server error occurred"
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        return _answer(status, message or "")

    def log_exception(self, *args: Any, **fields: Any) -> None:
        """Log an error of our own; one that the client made it has been told of."""
        if not isinstance(fields.get("exc_info"), _CLIENTS_DOING):
            super().log_exception(*args, **fields)


def refusal(error: web.HTTPException) -> web.Response:
    """A refusal of the HTTP server's own, such as of a body that is too large."""
    return _answer(error.status, error.text or error.reason)


def _answer(status: int, message: str) -> web.Response:
    # The first line says what is wrong, the others show the bytes.
    words = message.strip().partition("\n")[0].rstrip(":") or "bad request"
    made = web.Response(
        body=orjson.dumps({"code": _code(status), "message": words}),
        status=status,
        content_type="application/json",
    )
    # Nothing can follow on this connection: where the next request begins may not be known.
    made.force_close()
    return made


def _code(status: int) -> int:
    """Alpaca's code where it has none of its own for this status: 404 is 40410000, 500 is 50010000."""
    return status * 100_000 + 10_000
