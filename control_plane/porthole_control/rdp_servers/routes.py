"""What the endpoints of RDP servers share: their path, and what invalid means there."""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute

from porthole_control.api import UnitRoute, known_callers, router
from porthole_control.problems import INVALID_STATUS, responses

PATH: Final = "/rdp/servers/{server_id:uuid}"
_TAG: Final = "rdp servers"


def _as_400(handle: Callable[[Request], Coroutine[Any, Any, Response]]) -> Any:
    async def handled(request: Request) -> Response:
        request.scope[INVALID_STATUS] = 400
        return await handle(request)

    return handled


class _ServerRoute(UnitRoute):
    """A route whose answer to what is invalid is 400, as clients of such servers expect."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request to this route."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]]
        handler = _as_400(super().get_route_handler())
        return handler


class _WaitingRoute(APIRoute):
    """The same, where transactions are over before anything is waited for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what handles a request to this route."""
        handler: Callable[[Request], Coroutine[Any, Any, Response]]
        handler = _as_400(super().get_route_handler())
        return handler


def in_units() -> APIRouter:
    """Return a router whose routes each run in a unit of work."""
    made = router(_TAG)
    made.route_class = _ServerRoute
    return made


def in_their_own_time() -> APIRouter:
    """Return a router whose routes wait for something."""
    return APIRouter(
        prefix="/api/v1",
        tags=[_TAG],
        route_class=_WaitingRoute,
        dependencies=known_callers(),
        responses=responses(400, 401, 403, 404, 409, 413, 422, 429, 503, 504),
    )
