"""HTTP connections that answer errors in Alpaca's JSON, also those below any handler."""

from typing import Any

import orjson
from aiohttp import web
from aiohttp.web_request import BaseRequest

_CLIENTS_DOING = (ConnectionError, web.RequestPayloadError)


class Connection(web.RequestHandler):
    """One connection; a malformed request is answered like any refusal, and not logged."""

    __slots__ = ()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer an error that no handler could; only an error of the simulator's own is logged."""
        if isinstance(exc, _CLIENTS_DOING):
            status, message = 400, "request body is broken off"
        if status >= 500:
            self.log_exception("a request failed", exc_info=exc)
            message = "internal server error occurred"
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        return _answer(status, message or "")

    def end(self) -> None:
        """End the connection where it waits for a request, or else after the answer that is under way."""
        waits = self._waiter is not None
        self.close()
        if waits and self.transport is not None:
            self.transport.close()

    def log_exception(self, *args: Any, **fields: Any) -> None:
        """Log an error of the simulator's own; the client was told of its own errors."""
        if not isinstance(fields.get("exc_info"), _CLIENTS_DOING):
            super().log_exception(*args, **fields)


def refusal(error: web.HTTPException) -> web.Response:
    """Return an HTTP server's refusal, such as of a body that is too large, in Alpaca's JSON."""
    return _answer(error.status, error.text or error.reason)


def _answer(status: int, message: str) -> web.Response:
    # The first line names the error, the others show the bytes.
    words = message.strip().partition("\n")[0].rstrip(":") or "bad request"
    made = web.Response(
        body=orjson.dumps({"code": _code(status), "message": words}),
        status=status,
        content_type="application/json",
    )
    # The connection ends: where its next request begins may be unknown.
    made.force_close()
    return made


def _code(status: int) -> int:
    """Return Alpaca's general code for a status: 404 is 40410000, 500 is 50010000."""
    return status * 100_000 + 10_000
