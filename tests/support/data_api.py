"""A market-data API of the test's own: answers as it is told to, and keeps what it was asked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

# Status, text and headers; a status of 0 is no answer, ever.
Answer = tuple[int, str, dict[str, str]]


class DataApi:
    """Gives these answers one after the other, the last for ever; `asked` has the parameters of requests."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    def next_answer(self, query: dict[str, str]) -> Answer:
        """What a request with these parameters is answered."""
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @contextlib.asynccontextmanager
    async def serving(self, path: str) -> AsyncIterator[str]:
        """Answer requests for this path; gives the API's address."""
        application = web.Application()
        application.router.add_get(path, self._answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        assert request.headers["APCA-API-KEY-ID"] == "key"
        self.asked.append(dict(request.query))
        status, text, headers = self.next_answer(self.asked[-1])
        if status == 0:
            await asyncio.Event().wait()
        return web.Response(status=status, text=text, headers=headers)
