"""Agents for benchmarks: real links to a real control plane, and no desktops behind them."""

import time
from types import SimpleNamespace
from typing import Any

import httpx

from bench.instance import Instance
from porthole_contract.lifecycle import Phase
from porthole_contract.link.commands import ApplySession
from porthole_contract.link.reports import Capacity, SessionObserved
from porthole_contract.session import SessionStatus
from tests.support.scripted_agent import ScriptedAgent


class QuickAgent(ScriptedAgent):
    """An agent that has done everything at once, and notes when it heard of it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.heard_at: dict[Any, float] = {}

    def _received(self, items: tuple[Any, ...]) -> None:
        now = time.perf_counter()
        for item in items:
            self.heard_at[getattr(item, "id", None)] = now
            body = getattr(item, "body", None)
            if isinstance(body, ApplySession):
                self.channel.send(
                    SessionObserved(
                        session=body.session,
                        name=body.name,
                        owner=body.owner,
                        order=body.order,
                        spec=body.spec,
                        status=SessionStatus(phase=Phase.RUNNING, order=body.order),
                    )
                )
        super()._received(items)
        self.heard.clear()


async def a_quick_agent(instance: Instance, name: str = "quick") -> QuickAgent:
    """Let an agent join; link it with `linked(ws_url(instance))`."""
    control_plane: Any = SimpleNamespace(admin=instance.api)
    agent = await QuickAgent.enrol(control_plane, name)
    assert isinstance(agent, QuickAgent)
    return agent


def ws_url(instance: Instance) -> str:
    """Return what agents dial."""
    return instance.url.replace("http://", "ws://")


def plenty() -> Capacity:
    """Return room for more sessions than a benchmark makes."""
    return Capacity(sessions=1_000_000, sessions_used=0)


async def until_linked(api: httpx.AsyncClient, agent: ScriptedAgent) -> None:
    """Wait until the API says that the agent is linked."""
    for _ in range(100):
        if (await api.get(f"/api/v1/agents/{agent.id}")).json()["linked"]:
            return
        await agent.until(lambda: True)
    raise TimeoutError("The agent is not linked.")
