"""Faults over the control endpoint: what there is, turn one on, end them all."""

from collections.abc import Callable

import orjson
from aiohttp import web

from bus.errors import InvalidInput
from sim.clock import Clock
from sim.faults import faults as kinds
from sim.faults.faults import Faults
from sim.rest.door import answer


class FaultRoutes:
    """The handlers; `disconnect` cuts a stream by name."""

    def __init__(self, faults: Faults, clock: Clock, disconnect: Callable[[str], None]) -> None:
        self._faults = faults
        self._clock = clock
        self._disconnect = disconnect

    def routes(self) -> list[web.RouteDef]:
        """What is answered where."""
        return [
            web.get("/faults", self.list_faults),
            web.post("/faults", self.turn_on),
            web.delete("/faults", self.clear),
        ]

    async def list_faults(self, request: web.Request) -> web.Response:
        """GET /faults: every kind with an example, and which are on."""
        known = [
            {"name": name, "example": kind.example, "explanation": kind.explanation}
            for name, kind in kinds.KINDS.items()
        ]
        return answer({"faults": known, "active": self._faults.active(self._clock.now_ns())})

    async def turn_on(self, request: web.Request) -> web.Response:
        """POST /faults: begin one."""
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"the body is no JSON: {error}") from error
        fault = kinds.parse(body)
        self._faults.turn_on(fault, self._clock.now_ns())
        if fault["fault"] == "disconnect":
            self._disconnect(fault["stream"])
        return answer({"on": fault})

    async def clear(self, request: web.Request) -> web.Response:
        """DELETE /faults: end them all."""
        self._faults.clear()
        return answer({"faults": []})
