"""`/agents`."""

import base64
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from fastapi.responses import JSONResponse
from pydantic.json_schema import SkipJsonSchema

from porthole_contract.session import Name
from porthole_control.agents import repository, rules, service
from porthole_control.agents.schemas import (
    AgentOut,
    AgentPatch,
    Enrolled,
    Enrolment,
    JoinTokenCreated,
    JoinTokenOut,
    NewJoinToken,
)
from porthole_control.api import AgentKeeper, IdempotencyKey, PartsDep, Reader, UnitDep, router
from porthole_control.errors import NotFound
from porthole_control.idempotency import Answer, once, shown_once
from porthole_control.paging import CursorParam, LimitParam, Page, decode_moment, page
from porthole_control.problems import responses

routes = router("agents")
front_door = router("agents", anonymous=True)


@routes.get("/agents", summary="List agents", responses=responses(404))
async def list_agents(
    _principal: Reader,
    unit: UnitDep,
    name: Annotated[
        Name | SkipJsonSchema[None], Query(description="Only the one of this name.")
    ] = None,
    limit: LimitParam = 50,
    cursor: CursorParam = None,
) -> Page[AgentOut]:
    """Return the agents, newest first."""
    rows = await repository.list_agents(
        unit.connection, name=name, after=decode_moment(cursor), limit=limit + 1
    )
    items, following = page(rows, limit, lambda row: (row.created_at, row.id))
    return Page(items=[AgentOut.of(row) for row in items], next=following)


@routes.get("/agents/join-tokens", summary="List join tokens")
async def list_join_tokens(_principal: AgentKeeper, unit: UnitDep) -> Page[JoinTokenOut]:
    """Return the join tokens that can be used still, never their secrets."""
    rows = await repository.list_join_tokens(unit.connection, now=unit.now, limit=200)
    return Page(items=[JoinTokenOut.of(row) for row in rows], next=None)


@routes.post(
    "/agents/join-tokens",
    status_code=201,
    response_model=JoinTokenCreated,
    summary="Make a join token",
    responses=responses(409),
)
async def create_join_token(
    principal: AgentKeeper,
    unit: UnitDep,
    parts: PartsDep,
    body: NewJoinToken,
    key: IdempotencyKey = None,
) -> JSONResponse:
    """Make a token that lets one agent in; its secret is in this answer and nowhere else."""

    async def make() -> Answer:
        made = await service.create_join_token(
            unit, principal, name=body.name, labels=body.labels, lifetime=body.lifetime
        )
        assert made.expires_at is not None
        fingerprint = parts.reach.fingerprint
        created = JoinTokenCreated(
            id=made.id,
            name=body.name,
            expires_at=made.expires_at,
            token=made.text if fingerprint is None else f"{made.text}.{fingerprint}",
            url=parts.reach.url,
            fingerprint=fingerprint,
        )
        return Answer(201, created.model_dump(mode="json"))

    question = ["join-tokens", body.model_dump(mode="json")]
    answer = await once(unit, principal, key, question, make, secret=True)
    return JSONResponse(answer.body, answer.status)


@routes.delete(
    "/agents/join-tokens/{token_id:uuid}",
    status_code=204,
    summary="Withdraw a join token",
    responses=responses(404),
)
async def withdraw_join_token(_principal: AgentKeeper, unit: UnitDep, token_id: UUID) -> Response:
    """Withdraw a join token that nobody has used."""
    if not await repository.delete_join_token(unit.connection, token_id):
        raise NotFound("join token", token_id)
    return Response(status_code=204)


@front_door.post("/agents/enrol", summary="Join", responses=responses(403, 409))
async def enrol(unit: UnitDep, parts: PartsDep, body: Enrolment) -> Enrolled:
    """Let an agent in that has a join token; the same key may ask again.

    In a cluster, the token of a ServiceAccount that we were told of stands in for it.
    """
    public_key = base64.b64decode(body.public_key)
    if rules.is_account_token(body.token):
        name = await service.agent_of_account(parts, body.token)
        agent = await service.enrol_account(
            unit, name=name, public_key=public_key, by=parts.settings.administrator
        )
    else:
        agent = await service.enrol(unit, token=body.token, public_key=public_key)
    return Enrolled(agent_id=agent.id, name=agent.name, instance=parts.instance)


@routes.get("/agents/{agent_id:uuid}", summary="Show an agent", responses=responses(404))
async def show_agent(_principal: Reader, unit: UnitDep, agent_id: UUID) -> AgentOut:
    """Return one agent."""
    return AgentOut.of(await service.get(unit, agent_id))


@routes.patch(
    "/agents/{agent_id:uuid}",
    summary="Drain, rename or label an agent",
    responses=responses(404, 409),
)
async def change_agent(
    principal: AgentKeeper,
    unit: UnitDep,
    agent_id: UUID,
    body: AgentPatch,
    key: IdempotencyKey = None,
) -> AgentOut:
    """Drain an agent, or have it take sessions again; rename or label it."""

    async def make() -> AgentOut:
        changed = await service.change(
            unit, agent_id, name=body.name, draining=body.draining, labels=body.labels
        )
        return AgentOut.of(changed)

    question = ["agents", str(agent_id), body.model_dump(mode="json")]
    return await shown_once(unit, principal, key, question, make, kind=AgentOut)


@routes.delete(
    "/agents/{agent_id:uuid}",
    status_code=204,
    summary="Revoke an agent",
    responses=responses(404, 409),
)
async def revoke_agent(
    _principal: AgentKeeper,
    unit: UnitDep,
    agent_id: UUID,
    with_sessions: Annotated[
        bool, Query(description="False: refuse while it has living sessions.")
    ] = True,
) -> Response:
    """Take an agent's identity away; its link and streams are closed at once.

    Its sessions count as ended, with the reason AgentRemoved.
    """
    await service.revoke(unit, agent_id, with_sessions=with_sessions)
    return Response(status_code=204)
