"""What all endpoints share: the unit of work, the caller, preconditions, keys.

A route made by `router()` runs in one unit of work, which is committed before the answer
is sent: who reads "202" can rely on it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import APIKeyCookie, HTTPBearer
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from porthole_control.db.database import Unit
from porthole_control.errors import Stale
from porthole_control.failpoints import failpoint
from porthole_control.link.rules import dialled_base
from porthole_control.parts import Parts
from porthole_control.people.rules import Principal, Scope
from porthole_control.problems import responses

_BEARER = HTTPBearer(auto_error=False, description="A token of `porthole token create`.")
_COOKIE = APIKeyCookie(name="porthole", auto_error=False, description="A signed-in browser.")
_READS = {"GET", "HEAD"}


class UnitRoute(APIRoute):
    """A route whose handler runs in one unit of work."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request to this route."""
        handle = super().get_route_handler()
        reads = set(self.methods or ()) <= _READS
        handled, committed = f"{self.name}.handled", f"{self.name}.committed"

        async def in_a_unit(request: Request) -> Response:
            parts: Parts = request.app.state.parts
            # Before a connection is taken: a slow caller holds up nobody.
            await request.body()
            work = parts.database.reading() if reads else parts.database.unit()
            seconds = parts.settings.request_timeout.total_seconds()
            async with asyncio.timeout(seconds), work as unit:
                request.scope["unit"] = unit
                answer = await handle(request)
                failpoint(handled)
            failpoint(committed)
            return answer

        return in_a_unit


def router(*tags: str, anonymous: bool = False) -> APIRouter:
    """Return a router below /api/v1 whose routes each run in a unit of work.

    Args:
        tags: the noun, for OpenAPI.
        anonymous: whether its routes do without a caller whom we know.
    """
    known = [] if anonymous else known_callers()
    problems = (400, 413, 422, 503) if anonymous else (400, 401, 403, 413, 422, 503)
    return APIRouter(
        prefix="/api/v1",
        tags=list(tags),
        route_class=UnitRoute,
        dependencies=known,
        responses=responses(*problems),
    )


def known_callers() -> list[Any]:
    """Return what OpenAPI says of routes whose callers are known, as dependencies."""
    return [Security(_BEARER), Security(_COOKIE)]


def parts_of(request: Request) -> Parts:
    """Return the running program's parts."""
    parts: Parts = request.app.state.parts
    return parts


def unit_of(request: Request) -> Unit:
    """Return this request's unit of work."""
    unit: Unit = request.scope["unit"]
    return unit


def asked_at(request: Request) -> str:
    """Return the address at which the caller has reached us, without a slash at its end.

    What is handed to a browser has to lead back the way it came: past a proxy, whose TLS we
    do not see, or straight to this machine.
    """
    public = parts_of(request).settings.public_url
    base = dialled_base(request.url.scheme, request.headers["host"], public)
    return f"http{base.removeprefix('ws')}"


async def _caller(request: Request) -> Principal:
    return await parts_of(request).guard.identify(request, unit_of(request))


def _with(scope: Scope) -> Callable[..., Coroutine[Any, Any, Principal]]:
    async def caller_with(request: Request) -> Principal:
        principal = await _caller(request)
        principal.must(scope)
        return principal

    return caller_with


def known_before(scope: Scope) -> Callable[..., Coroutine[Any, Any, Principal]]:
    """Return a dependency: who asks and may, known before anything is made of what they ask.

    For routes without a unit of work, which take long or wait.
    """

    async def caller_before(request: Request) -> Principal:
        parts = parts_of(request)
        async with parts.database.reading() as unit:
            principal = await parts.guard.identify(request, unit)
        principal.must(scope)
        return principal

    return caller_before


# Coroutines, although they wait for nothing: FastAPI takes anything else to another thread.
async def _parts(request: Request) -> Parts:
    return parts_of(request)


async def _unit(request: Request) -> Unit:
    return unit_of(request)


PartsDep = Annotated[Parts, Depends(_parts)]
UnitDep = Annotated[Unit, Depends(_unit)]
Anyone = Annotated[Principal, Depends(_caller)]
Reader = Annotated[Principal, Depends(_with(Scope.READ))]
SessionWriter = Annotated[Principal, Depends(_with(Scope.SESSIONS))]
Viewer = Annotated[Principal, Depends(_with(Scope.CONNECT))]
TemplateWriter = Annotated[Principal, Depends(_with(Scope.TEMPLATES))]
AgentKeeper = Annotated[Principal, Depends(_with(Scope.AGENTS))]
TokenMaker = Annotated[Principal, Depends(_with(Scope.TOKENS))]

Key = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]
IdempotencyKey = Annotated[
    Key | SkipJsonSchema[None],
    Header(
        alias="Idempotency-Key",
        description="The same call with the same key is done once and answered the same.",
    ),
]
# Not in OpenAPI: there a tag that is out of date would be a mistake of the caller.
IfMatch = Annotated[
    Annotated[str, Field(max_length=255)] | None,
    Header(alias="If-Match", include_in_schema=False),
]


def etag(version: int) -> str:
    """Return the ETag of that version of an object."""
    return f'"{version}"'


async def expected_version(if_match: str | None, look: Callable[[], Awaitable[int]]) -> int | None:
    """Return the version that a changing call expects, which `look` returns; None: any.

    Raises:
        Stale: the object has another version by now.
    """
    if if_match is None or if_match == "*":
        return None
    version = await look()
    if etag(version) not in [tag.strip() for tag in if_match.split(",")]:
        raise Stale
    return version
