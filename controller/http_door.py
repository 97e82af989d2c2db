"""The operators' API: HTTP with an OpenAPI description, health and metrics. The only file that imports FastAPI.

Reading is for viewers, changing for operators; who they are comes from tokens (`airshed token`). Without a file of
users, who reaches the address may read and nobody may change anything.
"""

# No `from __future__ import annotations` here: FastAPI reads the annotations, some of which name local functions.
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response, status
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from channel_status import records
from channel_status.protocol import ChannelStatusDatabase, DatabaseAway
from controller.office import Office
from controller.operators import Actor, CannotNow, Operators
from controller.peers import Peer
from controller.users import peer_with, read_users
from controller.web_server import WebServer
from spectrum.errors import BadInput
from spectrum.site_file import Site
from spectrum.status import ChannelStatus, Lease

ANYONE: Final = Peer("viewer", "anyone")


# What a stream's entry may be called: two numbers below this (Redis' stream ids are 64-bit).
ENTRY_NUMBERS: Final = 2**64

# What the description says of answers that are no success; all are one object with `detail`.
_DETAIL: Final[dict[str, Any]] = {
    "content": {"application/json": {"schema": {"type": "object", "properties": {"detail": {"type": "string"}}}}}
}
_AWAY: Final[dict[int | str, dict[str, Any]]] = {503: {"description": "the database is away", **_DETAIL}}
_READING: Final = {**_AWAY, 401: {"description": "no valid token", **_DETAIL}}
_CHANGING: Final = {
    **_READING,
    400: {"description": "what was asked for does not exist at this site", **_DETAIL},
    403: {"description": "only operators may change", **_DETAIL},
}
_UNKNOWN: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "nothing of that name is known", **_DETAIL}}


class PolicyChange(BaseModel):
    """Policy and N from now on; null goes back to the site file's."""

    model_config = ConfigDict(extra="forbid")

    policy: str | None = None
    attempts: Annotated[int, Field(ge=1, le=1000, strict=True)] | str | None = None


def caller_from(site: Site) -> Callable[..., Peer]:
    """The dependency that says who is calling."""
    users_file = None if site.http is None or site.http.users is None else Path(site.http.users)
    bearer = HTTPBearer(auto_error=False, description="a token made by `airshed token`")

    def caller(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> Peer:
        if users_file is None:
            return ANYONE
        peer = None if credentials is None else peer_with(credentials.credentials, read_users(users_file))
        if peer is None:
            raise HTTPException(status.HTTP_401_UNAUTHORIZED, "a valid token is needed", {"WWW-Authenticate": "Bearer"})
        return peer

    return caller


def operators_api(site: Site, office: Office, operators: Operators, database: ChannelStatusDatabase) -> FastAPI:
    """The API over one controller."""
    api = FastAPI(title="Airshed", description=f"Operators' API of site {site.name}", version="1")
    caller = caller_from(site)
    add_error_answers(api)

    def operator(request: Request, peer: Annotated[Peer, Depends(caller)]) -> Actor:
        if peer.role != "operator":
            raise HTTPException(
                status.HTTP_403_FORBIDDEN, f"{peer.role} {peer.name} may read, only operators may change"
            )
        return Actor(peer.name, peer.role, "" if request.client is None else request.client.host)

    add_reading(api, site, office, database, caller)
    add_changing(api, office, operators, operator)
    return api


def add_error_answers(api: FastAPI) -> None:
    """Errors as one JSON object: 400 for bad input, 503 for a database that is away."""

    def bad_input(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status.HTTP_400_BAD_REQUEST)

    def away(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status.HTTP_503_SERVICE_UNAVAILABLE)

    api.add_exception_handler(BadInput, bad_input)
    api.add_exception_handler(DatabaseAway, away)


def add_reading(
    api: FastAPI, site: Site, office: Office, database: ChannelStatusDatabase, caller: Callable[..., Peer]
) -> None:
    """What viewers may do, and what anyone may ask."""
    viewer = [Depends(caller)]

    @api.get("/health", responses=_AWAY)
    def health() -> dict[str, str]:
        """Whether the controller and its database answer."""
        database.ping()
        return {"status": "ok", "site": site.name}

    @api.get("/metrics", response_class=PlainTextResponse)
    def metrics() -> Response:
        """Prometheus metrics."""
        return Response(office.metrics.text(), media_type="text/plain; version=0.0.4")

    @api.get("/v1/status", dependencies=viewer, responses=_READING)
    def channel_map() -> dict[str, Any]:
        """The channel map."""
        now_s = office.clock()
        snapshot, leases = office.allocator.status(now_s)
        live = [lease.subchannel for lease in leases]
        rows = [status_json(s, live.count(cell), now_s) for cell, s in sorted(snapshot.by_subchannel.items())]
        return {
            "site": site.name,
            "sensing": snapshot.sensing,
            "subchannels": rows,
            "gateways": office.gateways.attached,
            "policy": office.allocator.site.controller.policy,
            "attempts": office.allocator.site.controller.attempts,
        }

    @api.get("/v1/leases", dependencies=viewer, responses=_READING)
    def leases() -> list[dict[str, Any]]:
        """Live and coming leases, by start."""
        return [lease_json(lease) for lease in office.allocator.status(office.clock())[1]]

    @api.get("/v1/devices/{device}/decision", dependencies=viewer, responses={**_READING, **_UNKNOWN})
    def decision(device: str) -> Response:
        """Why a device got its subchannel."""
        found = office.allocator.explain(device)
        if found is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, f"no decision about {device!r} is known")
        return Response(found, media_type="application/json")

    @api.get("/v1/events", dependencies=viewer, responses={**_READING, 400: _CHANGING[400]})
    def events(
        after: Annotated[str, Query(pattern=r"^([0-9]{1,20}-[0-9]{1,20})?$")] = "",
        count: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    ) -> list[dict[str, Any]]:
        """Events after the one called `after`, oldest first, each with its id."""
        if after and max(map(int, after.split("-"))) >= ENTRY_NUMBERS:
            raise BadInput(f"after: expected the id of an event such as 1800000000000-0, got {after}")
        return [{"id": e.entry_id, **records.decode(e.value)} for e in database.read(site.name, "events", after, count)]


def add_changing(api: FastAPI, office: Office, operators: Operators, operator: Callable[..., Actor]) -> None:
    """What operators may do: each change is audited. Asking twice for the same is no error."""

    def ruled(action: str, center_hz: int, width_hz: int, who: Actor) -> dict[str, Any]:
        with suppress(CannotNow):
            operators.set_rule(action, f"{center_hz}/{width_hz}", who, office.clock())
        return asdict(operators.word())

    @api.get("/v1/operators", dependencies=[Depends(operator)], responses=_CHANGING)
    def word() -> dict[str, Any]:
        """What operators have said that still stands."""
        return asdict(operators.word())

    @api.put("/v1/policy", responses=_CHANGING)
    def policy(change: PolicyChange, who: Annotated[Actor, Depends(operator)]) -> dict[str, Any]:
        """Another policy and N."""
        with suppress(CannotNow):
            operators.set_policy(change.policy, change.attempts, who, office.clock())
        return asdict(operators.word())

    @api.put("/v1/bans/{center_hz}/{width_hz}", responses=_CHANGING)
    def ban(center_hz: int, width_hz: int, who: Annotated[Actor, Depends(operator)]) -> dict[str, Any]:
        """Give a subchannel to nobody."""
        return ruled("ban", center_hz, width_hz, who)

    @api.delete("/v1/bans/{center_hz}/{width_hz}", responses=_CHANGING)
    def unban(center_hz: int, width_hz: int, who: Annotated[Actor, Depends(operator)]) -> dict[str, Any]:
        """Give it again."""
        return ruled("unban", center_hz, width_hz, who)

    @api.put("/v1/pins/{center_hz}/{width_hz}", responses=_CHANGING)
    def pin(center_hz: int, width_hz: int, who: Annotated[Actor, Depends(operator)]) -> dict[str, Any]:
        """Let a subchannel be given whatever sensing says of it."""
        return ruled("pin", center_hz, width_hz, who)

    @api.delete("/v1/pins/{center_hz}/{width_hz}", responses=_CHANGING)
    def unpin(center_hz: int, width_hz: int, who: Annotated[Actor, Depends(operator)]) -> dict[str, Any]:
        """Go by what is sensed again."""
        return ruled("unpin", center_hz, width_hz, who)

    @api.delete("/v1/leases/{lease_id}", responses={**_CHANGING, **_UNKNOWN})
    def evict(lease_id: str, who: Annotated[Actor, Depends(operator)]) -> dict[str, Any]:
        """End a lease before its time. Its gateway's agent hears of it within a second."""
        try:
            _, lease = operators.evict(lease_id, who, office.clock())
        except CannotNow as error:
            raise HTTPException(status.HTTP_404_NOT_FOUND, str(error)) from None
        return lease_json(lease)


def lease_json(lease: Lease) -> dict[str, Any]:
    """A lease with times in seconds."""
    return {
        "lease_id": lease.lease_id, "device": lease.device, "gateway": lease.gateway,
        "subchannel_hz": lease.subchannel.center_hz, "bandwidth_hz": lease.subchannel.bandwidth_hz,
        "start_s": lease.start_s, "end_s": lease.end_s, "attempt": lease.attempt, "forced": lease.forced,
        "state": lease.state,
    }  # fmt: skip


def status_json(found: ChannelStatus, live_leases: int, now_s: float) -> dict[str, Any]:
    """The status of a subchannel with its age."""
    return {
        "subchannel_hz": found.subchannel.center_hz, "bandwidth_hz": found.subchannel.bandwidth_hz,
        "age_s": now_s - found.measured_s, "energy_dbfs": found.energy_dbfs, "noise_dbfs": found.noise_dbfs,
        "threshold_dbfs": found.threshold_dbfs, "snr_db": found.snr_db, "pf": found.pf, "pm": found.pm,
        "occupancy": found.occupancy, "weight": found.weight, "busy": found.busy, "live_leases": live_leases,
        "sensors": found.sensors, "flags": found.flags,
    }  # fmt: skip


def http_door(site: Site, api: FastAPI) -> WebServer:
    """The API served on `http.listen` while the `with` block lasts."""
    assert site.http is not None
    return WebServer(api, site.http.listen, "http.listen", "the operators' API", site.tls)
