"""The console's HTTP: page, JSON API, live feed, login. The only file of the console that imports FastAPI.

What is answered is decided elsewhere; here it is asked who may ask. Reading is for viewers, acting for operators with
the word of their session (`X-Airshed-CSRF`) or a token.
"""

# No `from __future__ import annotations` here: FastAPI reads the annotations, some of which name local functions.
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from channel_status import records
from channel_status.protocol import DatabaseAway
from console.desk import ConsoleDesk, UnknownHere
from console.events import Filter
from console.feed import ClientQueue, Hub
from console.feed_client import feed_of
from console.login import Caller, Login, Refused, TooOften
from controller.operators import CannotNow
from spectrum.errors import BadInput

COOKIE: Final = "airshed_session"
CSRF: Final = "x-airshed-csrf"
STATIC: Final = Path(__file__).parent / "static"
LONGEST_BODY: Final = 16 * 1024
MOST_CLIENTS: Final = 64

# Nothing from outside, nothing inline, no frame around it.
SECURITY_HEADERS: Final = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=()",
}

Key = Annotated[str, Query(pattern=r"^(\d{1,12}/\d{1,12})?$")]
EntryId = Annotated[str, Query(pattern=r"^(\d{1,20}-\d{1,20})?$")]
TimeS = Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False)]
Name = Annotated[str, Query(max_length=128)]


class LoginBody(BaseModel):
    """A user with a password, or a token alone."""

    model_config = ConfigDict(extra="forbid")
    user: Annotated[str, Field(max_length=64)] | None = None
    password: Annotated[str, Field(max_length=256)] | None = None
    token: Annotated[str, Field(max_length=256)] | None = None


class ActionBody(BaseModel):
    """One operator action, see docs/console.md."""

    model_config = ConfigDict(extra="forbid", strict=True)
    action: Literal["ban", "unban", "pin", "unpin", "policy", "evict"]
    subchannel: Annotated[str, Field(pattern=r"^\d{1,12}/\d{1,12}$")] | None = None
    lease_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    policy: Annotated[str, Field(max_length=64)] | None = None
    attempts: Annotated[int, Field(ge=1, le=1000)] | Literal["auto"] | None = None


@dataclass(frozen=True, slots=True)
class Guards:
    """Dependencies that say who asks: anyone, a reader, an operator."""

    caller: Callable[[Request], Caller]
    reader: Callable[[Request], Caller]
    operator: Callable[[Request], Caller]


def console_app(desk: ConsoleDesk, hub: Hub, login: Login, *, tls: bool, hosts: list[str]) -> Callable[..., Any]:
    """The whole application. hosts: names in the Host header that are served (a page elsewhere may not borrow ours)."""
    app = FastAPI(title="Airshed console", version="1", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")
    guards = guards_of(login)
    add_error_answers(app)
    add_page(app, desk, hub)
    add_session(app, login, guards, tls=tls)
    add_reading(app, desk, hub, guards)
    add_details(app, desk, guards)
    add_history(app, desk, guards)
    add_acting(app, desk, guards)
    app.mount("/static", StaticFiles(directory=STATIC, check_dir=False), name="static")
    return TrustedHostMiddleware(Hardened(app, tls=tls), allowed_hosts=hosts)


def guards_of(login: Login) -> Guards:
    """Guards over the logins."""

    def caller(request: Request) -> Caller:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else None
        return login.caller(request.cookies.get(COOKIE), bearer, _address(request))

    def reader(request: Request) -> Caller:
        found = caller(request)
        if not found.may_read:
            raise HTTPException(401, "log in to look: this site has users")
        return found

    def operator(request: Request) -> Caller:
        found = caller(request)
        if found.actor is None:
            raise HTTPException(401, "log in as an operator to change anything")
        if not found.may_act:
            raise HTTPException(403, f"{found.actor.role} {found.actor.name} may look, only operators may change")
        if not login.is_own_page(found, request.headers.get(CSRF)):
            raise HTTPException(403, f"the header {CSRF} with the session's word is missing or wrong: log in again")
        return found

    return Guards(caller, reader, operator)


def add_error_answers(app: FastAPI) -> None:
    """Every error is one object with one line."""

    def answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"detail": detail}, status, headers)

    def wrong_question(_: Request, error: RequestValidationError) -> JSONResponse:
        return answer(400, question_error(error.errors()))

    app.add_exception_handler(RequestValidationError, wrong_question)  # type: ignore[arg-type]
    app.add_exception_handler(UnknownHere, lambda _, error: answer(404, str(error)))
    app.add_exception_handler(BadInput, lambda _, error: answer(400, str(error)))
    app.add_exception_handler(CannotNow, lambda _, error: answer(409, str(error)))
    app.add_exception_handler(DatabaseAway, lambda _, error: answer(503, str(error)))
    app.add_exception_handler(Refused, lambda _, error: answer(401, str(error)))
    app.add_exception_handler(
        TooOften,
        lambda _, error: answer(429, str(error), {"Retry-After": str(getattr(error, "retry_s", 1))}),
    )


def question_error(errors: Any) -> str:
    """The first thing wrong with a question, in one line: where it stands, what is wrong with it."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("query", "path")) or "request"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{place}: {first['msg']}{more}"


def add_page(app: FastAPI, desk: ConsoleDesk, hub: Hub) -> None:
    """What needs no login: the page itself, health and metrics."""

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        if not (STATIC / "index.html").is_file():
            raise HTTPException(404, "the page is not installed; the API is at /api/openapi.json")
        return FileResponse(STATIC / "index.html")

    @app.get("/health")
    def health(response: Response) -> dict[str, str]:
        """Whether the database answers."""
        response.status_code = 200 if hub.state.state == "live" else 503
        status = "ok" if hub.state.state == "live" else "away"
        # Where the database is, is for those who have logged in.
        return {"status": status, "site": hub.site, "detail": "" if status == "ok" else "the database does not answer"}

    @app.get("/metrics")
    def metrics() -> Response:
        """Prometheus metrics of the console and of the site as it sees it."""
        return Response(desk.metrics_text(), media_type="text/plain; version=0.0.4")


def add_session(app: FastAPI, login: Login, guards: Guards, *, tls: bool) -> None:
    """Logging in and out."""

    @app.get("/api/session")
    def who(caller: Annotated[Caller, Depends(guards.caller)]) -> dict[str, Any]:
        """Who is logged in."""
        return login.view(caller)

    @app.post("/api/session")
    def log_in(body: LoginBody, request: Request, response: Response) -> dict[str, Any]:
        """Log in; the answer sets the cookie."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise HTTPException(403, "log in from the console's own page")
        cookie, caller = login.log_in(body.user, body.password, body.token, _address(request))
        response.set_cookie(COOKIE, cookie, httponly=True, samesite="strict", secure=tls, path="/")
        return login.view(caller)

    @app.delete("/api/session")
    def log_out(
        request: Request, response: Response, caller: Annotated[Caller, Depends(guards.caller)]
    ) -> dict[str, Any]:
        """Log out."""
        if caller.session is not None and not login.is_own_page(caller, request.headers.get(CSRF)):
            raise HTTPException(403, f"the header {CSRF} with the session's word is missing or wrong")
        login.log_out(request.cookies.get(COOKIE))
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=tls)
        return login.view(login.caller(None, None, _address(request)))


def add_reading(app: FastAPI, desk: ConsoleDesk, hub: Hub, guards: Guards) -> None:
    """The present: site, state, feed, events, audit."""
    viewer = [Depends(guards.reader)]

    @app.get("/api/site", dependencies=viewer)
    def site() -> dict[str, Any]:
        """What does not change while the console runs."""
        return desk.site_view()

    @app.get("/api/state", dependencies=viewer)
    def state(at_s: TimeS = None) -> Response:
        """Everything now, or at a past instant."""
        return _json(desk.state_now() if at_s is None else desk.state_at(at_s))

    @app.get("/api/feed", dependencies=viewer)
    async def feed(request: Request) -> StreamingResponse:
        """The live feed."""
        if hub.clients >= MOST_CLIENTS:
            raise HTTPException(503, f"{MOST_CLIENTS} pages look already", {"Retry-After": "10"})
        stream = feed_of(hub, ClientQueue(), request.headers.get("last-event-id", ""))
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    @app.get("/api/events", dependencies=viewer)
    def events(
        kind: Annotated[str, Query(max_length=400)] = "",
        device: Name = "",
        subchannel: Key = "",
        gateway: Name = "",
        severity: Annotated[Literal["", "info", "warning", "alarm"], Query()] = "",
        text: Name = "",
        from_s: TimeS = None,
        to_s: TimeS = None,
        before: EntryId = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> Response:
        """Events, newest first."""
        kinds = frozenset(part for part in kind.split(",") if part)
        wanted = Filter(kinds, device, subchannel, gateway, severity, text, from_s, to_s)
        return _json(desk.events(wanted, before, limit))

    @app.get("/api/audit", dependencies=viewer)
    def audit(before: Name = "", limit: Annotated[int, Query(ge=1, le=500)] = 50) -> Response:
        """What operators did, newest first."""
        return _json(desk.audit(before, limit))


def add_details(app: FastAPI, desk: ConsoleDesk, guards: Guards) -> None:
    """One subchannel, one device, one map."""
    viewer = [Depends(guards.reader)]

    @app.get("/api/subchannels/{center_hz}/{width_hz}", dependencies=viewer)
    def subchannel(center_hz: int, width_hz: int) -> Response:
        """One subchannel."""
        return _json(desk.subchannel(f"{center_hz}/{width_hz}"))

    @app.get("/api/devices/{device:path}", dependencies=viewer)
    def device(device: str) -> Response:
        """One device."""
        return _json(desk.device(device))

    @app.get("/api/map", dependencies=viewer)
    def environment_map(subchannel: Key, cells: Annotated[int, Query(ge=4, le=120)] = 40) -> Response:
        """Radio environment map of one subchannel."""
        return _json(desk.environment_map(subchannel, cells))


def add_history(app: FastAPI, desk: ConsoleDesk, guards: Guards) -> None:
    """The past, from the recorded streams."""
    viewer = [Depends(guards.reader)]

    @app.get("/api/history", dependencies=viewer)
    def reach() -> Response:
        """How far the recorded streams reach."""
        return _json(desk.history_reach())

    @app.get("/api/history/channels", dependencies=viewer)
    def channels(
        from_s: TimeS = None, to_s: TimeS = None, columns: Annotated[int, Query(ge=1, le=1000)] = 300, sensor: Name = ""
    ) -> Response:
        """Power and state of each subchannel by time."""
        return _json(desk.channel_history(from_s, to_s, columns, sensor or None))

    @app.get("/api/history/spectrum", dependencies=viewer)
    def spectrum(
        sensor: Name, from_s: TimeS = None, to_s: TimeS = None, rows: Annotated[int, Query(ge=1, le=1000)] = 300
    ) -> Response:
        """Rows of a waterfall."""
        return _json(desk.spectrum_history(sensor, from_s, to_s, rows))


def add_acting(app: FastAPI, desk: ConsoleDesk, guards: Guards) -> None:
    """What operators may do."""

    @app.post("/api/actions")
    def act(body: ActionBody, caller: Annotated[Caller, Depends(guards.operator)]) -> dict[str, Any]:
        """Ban, pin, change the policy or N, evict."""
        assert caller.actor is not None
        given = body.model_dump(exclude_unset=True)
        return desk.act(given, caller.actor)

    @app.post("/api/audit/{entry_id}/undo")
    def undo(entry_id: str, caller: Annotated[Caller, Depends(guards.operator)]) -> dict[str, Any]:
        """Take an action back."""
        assert caller.actor is not None
        return desk.undo(entry_id, caller.actor)


def _json(view: Any) -> Response:
    return Response(view if isinstance(view, bytes) else records.encode(view), media_type="application/json")


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


class Hardened:
    """Around the application: security headers on every answer, no body beyond LONGEST_BODY, nothing of /api cached."""

    def __init__(self, app: Any, *, tls: bool) -> None:
        self._app = app
        headers = SECURITY_HEADERS | ({"strict-transport-security": "max-age=31536000"} if tls else {})
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        cached = b"no-cache" if scope["path"] == "/" or scope["path"].startswith("/static") else b"no-store"

        async def hardened(message: Any) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"cache-control"]
                message["headers"] = [*kept, *self._headers, (b"cache-control", cached)]
            await send(message)

        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > LONGEST_BODY:
            await JSONResponse({"detail": f"a body has at most {LONGEST_BODY} bytes"}, 413)(scope, receive, hardened)
            return
        await self._app(scope, _bounded(receive), hardened)


def _bounded(receive: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    """A body without a length may not be longer either: what is beyond is taken for its end."""
    seen = 0

    async def take() -> Any:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > LONGEST_BODY:
                return {"type": "http.request", "body": b"", "more_body": False}
        return message

    return take
