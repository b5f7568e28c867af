"""Errors as the API's callers see them: RFC 9457 problems with a stable `code`.

One family of handlers: what the services raise, what FastAPI finds wrong with a request,
what Starlette says of paths and methods, what the database refuses, and everything else.
"""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException

from porthole_contract.errors import Invalid, PortholeError, Refused
from porthole_control import calls
from porthole_control.db.trouble import is_passing
from porthole_control.errors import (
    Conflict,
    Forbidden,
    NotFound,
    Stale,
    TooMany,
    Unanswered,
    Unauthenticated,
    Unavailable,
)

logger = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
INVALID_STATUS = "invalid_status"
"""In a request's scope: the status for what is invalid, where it is not 422."""

_STATUS: tuple[tuple[type[PortholeError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (Conflict, HTTPStatus.CONFLICT),
    (Unauthenticated, HTTPStatus.UNAUTHORIZED),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (Stale, HTTPStatus.PRECONDITION_FAILED),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (TooMany, HTTPStatus.TOO_MANY_REQUESTS),
    (Unanswered, HTTPStatus.GATEWAY_TIMEOUT),
    (Invalid, HTTPStatus.UNPROCESSABLE_ENTITY),
    (Refused, HTTPStatus.CONFLICT),
)


class FieldError(BaseModel):
    """One field that is not as it should be."""

    field: str = Field(description="Where it is, e.g. `body.display.width`.")
    message: str = Field(description="What is wrong with it.")


class Problem(BaseModel):
    """An error, after RFC 9457; `code` is stable, `detail` is for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
    request_id: str | None = Field(default=None, description="Stands in the logs, too.")


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the response that tells a caller what is wrong."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=errors or [],
        request_id=request.scope.get("request_id"),
    )
    return JSONResponse(
        body.model_dump(exclude_none=True), status, headers=headers, media_type=MEDIA_TYPE
    )


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about these statuses: each is a problem."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in statuses
    }


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PortholeError)
    status = next((s for kind, s in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return _unexpected(request, error)
    if isinstance(error, Invalid):
        status = HTTPStatus(request.scope.get(INVALID_STATUS, status))
    headers = {}
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="porthole"'
    if isinstance(error, Unavailable | TooMany):
        headers["Retry-After"] = str(error.retry_after)
    errors = (
        [FieldError(field=error.field, message=error.sentence)]
        if isinstance(error, Invalid)
        else []
    )
    return problem(request, status, error.code, str(error), errors=errors, headers=headers)


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = [
        FieldError(
            field=".".join(str(part) for part in item["loc"])[:200],
            message=str(item["msg"]).removeprefix("Value error, "),
        )
        for item in error.errors()[:20]
    ]
    detail = "; ".join(f"{e.field}: {e.message}" for e in errors[:3])
    status = request.scope.get(INVALID_STATUS, HTTPStatus.UNPROCESSABLE_ENTITY)
    return problem(request, status, "invalid", detail or "Invalid.", errors=errors)


_HTTP_CODES = {400: "malformed", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_NO_ROUTE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
    if status in _NO_ROUTE:
        # A path may have several routes, of which Starlette asks one.
        methods = calls.methods_of(request.app, request.url.path)
        if methods and request.method not in methods:
            status, headers = HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": ", ".join(methods)}
            detail = f"This call is made with {' or '.join(methods)}."
        else:
            status, detail, headers = HTTPStatus.NOT_FOUND, "There is no such call.", {}
    return problem(request, status, _HTTP_CODES.get(status, "refused"), detail, headers=headers)


def _database(request: Request, error: Exception) -> JSONResponse:
    if not is_passing(error):
        return _unexpected(request, error)
    logger.warning("database_unavailable", error=type(error).__name__)
    return problem(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "unavailable",
        "The database does not answer. Try again in a moment.",
        headers={"Retry-After": "1"},
    )


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected_error", exc_info=error)
    return problem(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong on our side; the log has it under this request's id.",
    )


def install(app: FastAPI) -> None:
    """Have `app` answer all errors as problems."""
    app.add_exception_handler(PortholeError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(DBAPIError, _database)
    app.add_exception_handler(NoConnectionFree, _database)
    app.add_exception_handler(asyncio.TimeoutError, _database)
    app.add_exception_handler(Exception, _unexpected)
