"""`/homes`."""

from uuid import UUID

from fastapi import Response

from porthole_control.api import IdempotencyKey, Reader, SessionWriter, UnitDep, router
from porthole_control.homes import repository, service
from porthole_control.homes.schemas import HomeOut, HomePatch
from porthole_control.idempotency import shown_once
from porthole_control.paging import CursorParam, LimitParam, Page, decode_moment, page
from porthole_control.problems import responses

routes = router("homes")


@routes.get("/homes", summary="List homes", responses=responses(404))
async def list_homes(
    principal: Reader, unit: UnitDep, limit: LimitParam = 50, cursor: CursorParam = None
) -> Page[HomeOut]:
    """Return the caller's homes, newest first."""
    rows = await repository.list_owned(
        unit.connection, principal.name, after=decode_moment(cursor), limit=limit + 1
    )
    items, following = page(rows, limit, lambda row: (row.created_at, row.id))
    return Page(items=[HomeOut.of(row) for row in items], next=following)


@routes.get("/homes/{home_id:uuid}", summary="Show a home", responses=responses(404))
async def show_home(principal: Reader, unit: UnitDep, home_id: UUID) -> HomeOut:
    """Return one home."""
    return HomeOut.of(await service.get(unit, principal, home_id))


@routes.patch("/homes/{home_id:uuid}", summary="Rename a home", responses=responses(404, 409))
async def rename_home(
    principal: SessionWriter,
    unit: UnitDep,
    home_id: UUID,
    body: HomePatch,
    key: IdempotencyKey = None,
) -> HomeOut:
    """Call a home something else; its files stay where they are."""

    async def make() -> HomeOut:
        return HomeOut.of(await service.rename(unit, principal, home_id, body.name))

    question = ["homes", str(home_id), body.name]
    return await shown_once(unit, principal, key, question, make, kind=HomeOut)


@routes.delete(
    "/homes/{home_id:uuid}",
    status_code=202,
    summary="Delete a home",
    responses={204: {"description": "Gone already"}, **responses(404, 409)},
)
async def delete_home(
    principal: SessionWriter, unit: UnitDep, home_id: UUID, response: Response
) -> HomeOut | None:
    """Delete a home and all files in it; 409 while a session uses it."""
    home = await service.delete(unit, principal, home_id)
    if home is None:
        response.status_code = 204
        return None
    return HomeOut.of(home)
