"""Faults on the control endpoint: list all kinds, turn one on, end one kind or all."""

from typing import Any

import orjson
from aiohttp import web

from bus.errors import InvalidInput
from sim.faults.faults import Active
from sim.faults.fields import FIELDS
from sim.faults.kinds import KINDS, parse
from sim.incidents.chaos import Chaos
from sim.incidents.fault_switch import FaultSwitch
from sim.rest.json_bodies import answer
from sim.times import rfc3339


class FaultRoutes:
    """The handlers; `chaos` is the schedule of a run that has one."""

    def __init__(self, fault_switch: FaultSwitch, chaos: Chaos | None) -> None:
        self._fault_switch = fault_switch
        self._chaos = chaos

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/faults", self.list_faults),
            web.post("/faults", self.turn_on),
            web.delete("/faults", self.clear),
            web.delete("/faults/{name}", self.end),
        ]

    async def list_faults(self, request: web.Request) -> web.Response:
        """GET /faults: every kind with an example and its count, those that are on, and the schedule."""
        faults = self._fault_switch.faults
        known = [
            {
                "name": name,
                "target": kind.target,
                "example": dict(kind.example),
                "optional": dict(kind.optional),
                "allowed": {field: FIELDS[field].allowed for field in kind.fields},
                "explanation": kind.explanation,
                "struck": faults.struck[name],
            }
            for name, kind in KINDS.items()
        ]
        active = faults.active()
        names = sorted({one.name for one in active})
        chaos = None if self._chaos is None else self._chaos.to_json()
        return answer({"faults": known, "active": names, "on": list(map(_shown, active)), "chaos": chaos})

    async def turn_on(self, request: web.Request) -> web.Response:
        """POST /faults: turn one on."""
        try:
            body = orjson.loads(await request.read())
        except orjson.JSONDecodeError as error:
            raise InvalidInput(f"the body is no JSON: {error}") from error
        return answer({"on": self._fault_switch.begin(parse(body))})

    async def clear(self, request: web.Request) -> web.Response:
        """DELETE /faults: end all of them."""
        self._fault_switch.end_all()
        return answer({"faults": []})

    async def end(self, request: web.Request) -> web.Response:
        """DELETE /faults/{name}: end all of a kind."""
        self._fault_switch.end(request.match_info["name"])
        return answer({"active": sorted({one.name for one in self._fault_switch.faults.active()})})


def _shown(active: Active) -> dict[str, Any]:
    ends = None if active.ends_ns is None else rfc3339(active.ends_ns)
    return active.fault | {"left": active.left, "ends_at": ends, "struck": active.struck}
