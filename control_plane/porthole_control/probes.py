"""`/healthz`, `/readyz` and, on the internal port only, `/metrics`."""

import hmac

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from porthole_control import metrics, problems
from porthole_control.db import setup
from porthole_control.errors import Unauthenticated, Unavailable
from porthole_control.gauges import Gauges
from porthole_control.parts import Parts
from porthole_control.problems import responses

routes = APIRouter(tags=["probes"])


class Probe(BaseModel):
    """What a probe says."""

    status: str


@routes.get("/healthz", summary="Does the program live?")
async def healthz() -> Probe:
    """Return 200 as long as the program can answer at all."""
    return Probe(status="ok")


@routes.get("/readyz", summary="Can it work?", responses=responses(503))
async def readyz(request: Request) -> Probe:
    """Return 200 if the database is reachable and migrated; agents never matter."""
    parts = getattr(request.app.state, "parts", None)
    if not isinstance(parts, Parts):
        raise Unavailable("It is still starting.")
    try:
        async with parts.database.reading() as unit:
            if not await setup.is_migrated(unit.connection):
                raise Unavailable("The database's tables are not up to date.")
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        raise Unavailable("The database does not answer.") from error
    return Probe(status="ready")


def internal_app(public: FastAPI, token: str) -> FastAPI:
    """Return what is served on the internal port: the probes, and metrics for who has `token`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state = public.state
    problems.install(app)
    app.include_router(routes)
    gauges: Gauges | None = None

    @app.get("/metrics")
    async def exposition(request: Request) -> Response:
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, token.encode()):
            raise Unauthenticated("Send the metrics token as 'Authorization: Bearer ...'.")
        nonlocal gauges
        if gauges is None:
            gauges = Gauges(request.app.state.parts.database)
        await gauges.look()
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4")

    return app
