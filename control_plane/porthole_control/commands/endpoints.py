"""`/commands`: the queue, as it is."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic.json_schema import SkipJsonSchema

from porthole_contract.session import Name
from porthole_control.api import Reader, UnitDep, router
from porthole_control.commands import repository, story
from porthole_control.commands.rules import CommandState
from porthole_control.commands.schemas import CommandOut, CommandSentence, CommandWhole
from porthole_control.errors import NotFound
from porthole_control.paging import CursorParam, LimitParam, Page, decode_moment, page
from porthole_control.problems import responses

routes = router("commands")


@routes.get("/commands", summary="List commands", responses=responses(404))
async def list_commands(
    principal: Reader,
    unit: UnitDep,
    state: CommandState | SkipJsonSchema[None] = None,
    subject: Annotated[
        UUID | SkipJsonSchema[None], Query(description="Of this session or home.")
    ] = None,
    agent: Annotated[
        Name | SkipJsonSchema[None], Query(description="For the agent of this name.")
    ] = None,
    limit: LimitParam = 50,
    cursor: CursorParam = None,
) -> Page[CommandOut]:
    """Return commands, newest first: all of them to an administrator, else one's own."""
    rows = await repository.list_commands(
        unit.connection,
        owner=None if principal.is_admin else principal.name,
        state=state,
        subject=subject,
        agent=agent,
        after=decode_moment(cursor),
        limit=limit + 1,
    )
    items, following = page(rows, limit, lambda row: (row.created_at, row.id))
    return Page(items=[CommandOut.of(row) for row in items], next=following)


@routes.get("/commands/{command_id:uuid}", summary="Show a command", responses=responses(404))
async def show_command(principal: Reader, unit: UnitDep, command_id: UUID) -> CommandWhole:
    """Return a command; what it carries is shown to the owner of its subject only."""
    owner = None if principal.is_admin else principal.name
    found = await repository.command(unit.connection, command_id, owner=owner)
    if found is None:
        raise NotFound("command", command_id)
    # A session's environment may hold what only its owner should read.
    payload = found.payload if found.owner in {None, principal.name} else {}
    told = [CommandSentence(at=one.at, message=one.message) for one in story.whole(found)]
    return CommandWhole(**CommandOut.of(found).model_dump(), payload=payload, story=told)
