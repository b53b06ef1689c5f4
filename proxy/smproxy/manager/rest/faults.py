"""``/api/v1/faults``: what goes wrong on purpose."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from smproxy.faults import Fault, FaultError, FaultKind, FaultRegistry, Injection
from smproxy.faults.catalog import KINDS
from smproxy.manager.rest.errors import ApiError, json_response, read_json
from smproxy.manager.rest.query import Parameters

FAULTS = "/api/v1/faults"


class _Match(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    id: str | None = None
    customer_scope: str | None = None
    role: str | None = None
    app: str | None = None


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    fault: str
    parameters: dict[str, Any] = {}
    match: _Match = msgspec.field(default_factory=_Match)
    count: int | None = None
    probability: float = 1.0
    seed: int | None = None
    ttl: float | None = None


class FaultRoutes:
    """The routes of the faults."""

    def __init__(self, registry: FaultRegistry) -> None:
        self._registry = registry

    def routes(self) -> list[web.RouteDef]:
        """Return the routes, the more special first."""
        return [
            web.get(FAULTS, self.list),
            web.post(FAULTS, self.add),
            web.delete(FAULTS, self.clear),
            web.get(FAULTS + "/kinds", self.kinds),
            web.get(FAULTS + "/log", self.log),
            web.delete(FAULTS + "/{id}", self.remove),
        ]

    async def list(self, request: web.Request) -> web.StreamResponse:
        """List the faults that are on."""
        Parameters(request.query, ())
        return json_response({"faults": [_fault(fault) for fault in self._registry.active()]})

    async def add(self, request: web.Request) -> web.StreamResponse:
        """Switch a fault on."""
        fault_id = Parameters(request.query, ("as",)).text("as")
        asked = await read_json(request, _Asked, '{"fault": …, "parameters": {…}, "match": {…}}')
        options = {"match", "fault", "parameters"}
        given = {name: value for name, value in msgspec.structs.asdict(asked).items() if name not in options}
        try:
            fault = self._registry.switch_on(
                asked.fault, asked.parameters, **msgspec.structs.asdict(asked.match), **given, fault_id=fault_id
            )
        except FaultError as error:
            raise ApiError(400, f"Not switched on: {error}") from None
        return json_response(_fault(fault), status=201)

    async def clear(self, request: web.Request) -> web.StreamResponse:
        """Switch all faults off."""
        Parameters(request.query, ())
        return json_response({"removed": self._registry.clear()})

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Switch a fault off."""
        Parameters(request.query, ())
        id = request.match_info["id"]
        if not self._registry.remove(id):
            known = ", ".join(fault.id for fault in self._registry.active())
            raise ApiError(404, f"There is no fault {id[:100]}: those are {known or 'none'}")
        return json_response({"removed": 1})

    async def kinds(self, request: web.Request) -> web.StreamResponse:
        """List the faults that there are."""
        Parameters(request.query, ())
        return json_response({"kinds": [_kind(kind) for kind in KINDS.values()]})

    async def log(self, request: web.Request) -> web.StreamResponse:
        """List what faults have done, the latest last."""
        Parameters(request.query, ())
        return json_response({"log": [_injection(entry) for entry in self._registry.log()]})


def _fault(fault: Fault) -> dict[str, Any]:
    match = fault.match
    return {
        "id": fault.id,
        "fault": fault.name,
        "parameters": fault.parameters,
        "match": {"id": match.id, "customerScope": match.customer_scope, "role": match.role, "app": match.app},
        "count": fault.count,
        "probability": fault.probability,
        "seed": fault.seed,
        "ttl": fault.ttl,
        "left": None if fault.left is None else round(fault.left, 1),
        "active": fault.active,
        "used": fault.used,
        "injected": fault.injected,
    }


def _kind(kind: type[FaultKind]) -> dict[str, Any]:
    return {
        "fault": kind.name,
        "layer": kind.layer,
        "effect": kind.effect,
        "publish": kind.publish,
        "live": kind.live,
        "parameters": [
            {
                "name": each.name,
                "default": each.default,
                "allowed": each.allowed,
                "choices": list(each.choices),
                "help": each.help,
            }
            for each in kind.parameters
        ],
    }


def _injection(entry: Injection) -> dict[str, Any]:
    return {
        "at": entry.at,
        "id": entry.id,
        "fault": entry.fault,
        "session": entry.session,
        "connectionId": entry.connection_id,
        "customerScope": entry.customer_scope,
        "detail": entry.detail,
    }
