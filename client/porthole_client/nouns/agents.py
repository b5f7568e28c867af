"""Agents: the places where sessions run, and the right to become one."""

from uuid import UUID

from porthole_client.models import Agent, JoinToken
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call, keyed

PATH = "/api/v1/agents"


def list_() -> Steps[list[Agent]]:
    """Return the agents."""
    return (yield from everything(PATH, Agent))


def get(agent: UUID | str) -> Steps[Agent]:
    """Return one agent by its id."""
    answer = yield from call(Send("GET", f"{PATH}/{agent}"))
    return Agent.model_validate_json(answer.body)


def join_token(name: str, *, lifetime: str | None = None) -> Steps[JoinToken]:
    """Make the right to enrol one agent, once.

    Args:
        name: what the agent will be called.
        lifetime: how long it can be used, e.g. `24h`; None is an hour.
    """
    body = {"name": name} if lifetime is None else {"name": name, "lifetime": lifetime}
    answer = yield from call(Send("POST", f"{PATH}/join-tokens", body=body, headers=keyed()))
    return JoinToken.model_validate_json(answer.body)


def drain(agent: UUID | str, *, draining: bool = True) -> Steps[Agent]:
    """Give an agent no new sessions, or give it some again; what runs there goes on."""
    body = {"draining": draining}
    answer = yield from call(Send("PATCH", f"{PATH}/{agent}", body=body, headers=keyed()))
    return Agent.model_validate_json(answer.body)


def revoke(agent: UUID | str, *, with_sessions: bool = True) -> Steps[None]:
    """Take an agent's right to link away; its link, its streams and its sessions end at once.

    Args:
        agent: which one.
        with_sessions: False refuses while it has living sessions.
    """
    query = {} if with_sessions else {"with_sessions": "false"}
    yield from call(Send("DELETE", f"{PATH}/{agent}", query=query))
