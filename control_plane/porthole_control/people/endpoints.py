"""`/me`, `/sign-in`, `/sign-out`, `/users`, `/tokens`."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from porthole_contract.session import Owner
from porthole_control.api import (
    Anyone,
    IdempotencyKey,
    PartsDep,
    Reader,
    TokenMaker,
    UnitDep,
    asked_at,
    parts_of,
    router,
    unit_of,
)
from porthole_control.errors import Forbidden
from porthole_control.idempotency import Answer, once, shown_once
from porthole_control.paging import CursorParam, LimitParam, Page, decode, decode_moment, page
from porthole_control.people import repository, service
from porthole_control.people.schemas import (
    Me,
    NewToken,
    SignIn,
    SignInLinkOut,
    TokenCreated,
    TokenOut,
    UserOut,
    UserPatch,
)
from porthole_control.problems import responses

routes = router("people")
front_door = router("people", anonymous=True)


@routes.get("/me", summary="Who am I?")
async def me(principal: Anyone) -> Me:
    """Return who is asking and what this token is good for."""
    return Me.of(principal)


@front_door.post("/sign-in", summary="Sign a browser in", responses=responses(401, 403))
async def sign_in(request: Request, response: Response, body: SignIn) -> Me:
    """Redeem a sign-in link (once), or a token, for this browser's cookie."""
    parts = parts_of(request)
    if "origin" in request.headers:
        parts.guard.check_origin(request, required=True)
    lifetime = parts.settings.sign_in_lifetime
    cookie, principal = await service.sign_in(unit_of(request), body.token, lifetime=lifetime)
    secure = request.url.scheme == "https"
    response.set_cookie(
        parts.guard.cookie_name(secure=secure),
        cookie.text,
        max_age=int(lifetime.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="strict",
    )
    return Me.of(principal)


@routes.post("/sign-in-links", status_code=201, summary="Make a link that signs in")
async def create_sign_in_link(
    request: Request, parts: PartsDep, principal: TokenMaker, unit: UnitDep
) -> SignInLinkOut:
    """Make a link that signs one browser in as the caller, once, within minutes."""
    user = await repository.user_named(unit.connection, principal.name)
    assert user is not None
    made = await service.create_sign_in_link(
        unit, user, scopes=principal.scopes, lifetime=parts.settings.sign_in_link_lifetime
    )
    assert made.expires_at is not None
    return SignInLinkOut(
        url=f"{asked_at(request)}/#/sign-in?token={made.text}", expires_at=made.expires_at
    )


@routes.post("/sign-out", status_code=204, summary="Sign out")
async def sign_out(request: Request, parts: PartsDep, principal: Anyone, unit: UnitDep) -> Response:
    """End this browser's cookie; a bearer token is left as it is."""
    response = Response(status_code=204)
    if principal.by_cookie:
        await service.revoke_token(unit, principal, principal.token_id)
        name = parts.guard.cookie_name(secure=request.url.scheme == "https")
        response.delete_cookie(
            name, path="/", secure=name.startswith("__Host-"), httponly=True, samesite="strict"
        )
    return response


@routes.get("/users", summary="List users", responses=responses(404))
async def list_users(
    principal: Reader, unit: UnitDep, limit: LimitParam = 50, cursor: CursorParam = None
) -> Page[UserOut]:
    """Return all users, by name (administrators)."""
    if not principal.is_admin:
        raise Forbidden("Only an administrator may do that.")
    position = decode(cursor, str)
    after = None if position is None else str(position[0])
    rows = await repository.list_users(unit.connection, after=after, limit=limit + 1)
    items, following = page(rows, limit, lambda row: (row.name,))
    return Page(items=[UserOut.of(row) for row in items], next=following)


@routes.patch("/users/{name}", summary="Change a user", responses=responses(403, 404, 409))
async def change_user(
    principal: TokenMaker,
    unit: UnitDep,
    name: Owner,
    body: UserPatch,
    key: IdempotencyKey = None,
) -> UserOut:
    """Say who a user is in clusters (administrators).

    What was made there for that owner, with kubectl, is listed under them from then on.
    """

    async def make() -> UserOut:
        if "kubernetes_username" in body.model_fields_set:
            called = body.kubernetes_username
            return UserOut.of(await service.call_in_clusters(unit, principal, name, called))
        return UserOut.of(await service.user(unit, principal, name))

    question = ["users", name, body.model_dump(mode="json", exclude_unset=True)]
    return await shown_once(unit, principal, key, question, make, kind=UserOut)


@routes.get("/tokens", summary="List tokens", responses=responses(404))
async def list_tokens(
    principal: Reader,
    unit: UnitDep,
    everyone: Annotated[bool, Query(description="All users' (administrators).")] = False,
    limit: LimitParam = 50,
    cursor: CursorParam = None,
) -> Page[TokenOut]:
    """Return the tokens that are not revoked, newest first; never their secrets."""
    if everyone and not principal.is_admin:
        raise Forbidden("Only an administrator may do that.")
    rows = await repository.list_tokens(
        unit.connection,
        user=None if everyone else principal.user_id,
        after=decode_moment(cursor),
        limit=limit + 1,
    )
    items, following = page(rows, limit, lambda row: (row.created_at, row.id))
    return Page(items=[TokenOut.of(row) for row in items], next=following)


@routes.post(
    "/tokens",
    status_code=201,
    response_model=TokenCreated,
    summary="Make a token",
    responses=responses(409),
)
async def create_token(
    principal: TokenMaker, unit: UnitDep, body: NewToken, key: IdempotencyKey = None
) -> JSONResponse:
    """Make a token; its secret is in this answer and nowhere else."""

    async def make() -> Answer:
        made = await service.create_token_by(
            unit,
            principal,
            user=body.user,
            name=body.name,
            scopes=body.scopes,
            lifetime=body.lifetime,
        )
        row = await repository.token(unit.connection, made.id)
        assert row is not None
        created = TokenCreated(**TokenOut.of(row).model_dump(), token=made.text)
        return Answer(201, created.model_dump(mode="json"))

    question = ["tokens", body.model_dump(mode="json")]
    answer = await once(unit, principal, key, question, make, secret=True)
    return JSONResponse(answer.body, answer.status)


@routes.delete(
    "/tokens/{token_id:uuid}", status_code=204, summary="Revoke a token", responses=responses(404)
)
async def revoke_token(principal: TokenMaker, unit: UnitDep, token_id: UUID) -> Response:
    """Revoke a token; what it had opened is closed."""
    await service.revoke_token(unit, principal, token_id)
    return Response(status_code=204)
