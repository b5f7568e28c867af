"""Whatever dies while a session begins, is looked at and ends, and however often.

Each story is the whole life of one session in an instance of its own. The control plane and
the agent end themselves at named places; everybody is killed when a session was just asked
for, or its end, and while one of the parts stands still at a named place. What is the same in
all of them: the session runs, can be looked at and ends; the runtime has started it once for
each (order, restarts); `restarts` rises only with a loss on record; and of it nothing is left
but its home.

A few stories in which many die one after the other are always told; `--all-failpoints` tells
one for each place and each victim, killed once and twice.
"""

import asyncio
import re
from pathlib import Path

import pytest

from e2e.support.instance import Instance
from e2e.support.killing import Failpoints
from e2e.support.life import Life, Story
from porthole_agent import failpoints as agent
from porthole_control import failpoints as control

pytestmark = pytest.mark.timeout(300)

SECRETS = re.compile(r"ph[a-z]_[0-9a-f]{32}_[0-9a-f]{64}")
VICTIMS = ("agent", "control-plane", "postgres", "database", "gate", "supervisor", "up")
SECOND = (
    "commands.claimed",
    "Command.sent",
    "commands.received",
    "CommandResult.written",
    "CommandResult.committed",
    "SessionObserved.written",
    "SessionObserved.committed",
)
"""Places that are passed at the beginning and again later, most of them at the end."""
CONTROL = [(name, 1) for name in control.NAMES] + [(name, 2) for name in SECOND]
WITH_GATE = (
    *agent.CREATE[agent.CREATE.index("local.create.gate-started") :],
    *agent.DELETE[: agent.DELETE.index("local.delete.gate-stopped")],
)
WITH_SUPERVISOR = (
    *agent.CREATE[agent.CREATE.index("local.create.desktop-started") :],
    *agent.DELETE[: agent.DELETE.index("local.delete.desktop-stopped")],
)

SHORT = {
    "control-plane-at-many-places": Story(
        control=(
            "create_session.committed=kill:1",
            "commands.claimed=kill:1",
            "CommandResult.written=kill:1",
            "streams.dialled-back=kill:1",
            "sessions.ended=kill:1",
        ),
        losses=0,
    ),
    "agent-at-many-places": Story(
        agent=(
            "local.create.home-attached=kill:1",
            "local.create.desktop-started=kill:1",
            "local.delete.desktop-stopped=kill:1",
            "local.delete.tombstone-written=kill:1",
        ),
    ),
    "everybody-at-create": Story(
        at_create=("control-plane", "gate", "agent", "database"), running=("supervisor",)
    ),
    "everybody-at-delete": Story(at_delete=("supervisor", "agent", "control-plane", "postgres")),
    "up-at-create-and-delete": Story(at_create=("up",), at_delete=("up",)),
}


def _control_stories(kills: int) -> dict[str, Story]:
    return {
        f"control-plane {name}:{first} x{kills}": Story(
            control=(f"{name}=kill:{first}", *([f"{name}=kill:1"] * (kills - 1))), losses=0
        )
        for name, first in CONTROL
    }


def _agent_stories(kills: int) -> dict[str, Story]:
    return {
        f"agent {name} x{kills}": Story(
            agent=(f"{name}=kill:1",) * kills,
            running=("supervisor",) if name in agent.LOSE else (),
        )
        for name in agent.LOCAL
    }


def _victims(kills: int) -> dict[str, Story]:
    return {
        f"{who} at {moment} x{kills}": Story(**{f"at_{moment}": (who,) * kills})
        for who in VICTIMS
        for moment in ("create", "delete")
    }


def _still() -> dict[str, Story]:
    """Stories in which a part stands still while somebody else is killed."""
    told = {}
    for name, count in CONTROL:
        for who in ("agent", "database", "up"):
            told[f"{who} while control-plane is at {name}:{count}"] = Story(
                control=(f"{name}=stop:{count}",), at_stop=(who,)
            )
    for name in (*agent.CREATE, *agent.DELETE):
        victims = ["control-plane", "up"]
        victims += ["gate"] if name in WITH_GATE else []
        victims += ["supervisor"] if name in WITH_SUPERVISOR else []
        for who in victims:
            told[f"{who} while agent is at {name}"] = Story(
                agent=(f"{name}=stop:1",), at_stop=(who,)
            )
    return told


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Choose the stories."""
    told = dict(SHORT)
    if metafunc.config.getoption("--all-failpoints", default=False):
        for make in (_control_stories, _agent_stories, _victims):
            told |= make(1) | make(2)
        told |= _still()
    metafunc.parametrize("story", told.values(), ids=[title.replace(" ", "-") for title in told])


async def test_nothing_is_lost_doubled_or_left(home: Path, tmp_path: Path, story: Story) -> None:
    points = Failpoints(tmp_path / "failpoints", home)
    points.plan("control-plane", *story.control)
    points.plan("agent", *story.agent)
    life = Life(Instance(home), points, story)
    try:
        await life.begin()
        await life.is_told()
    except BaseException:
        print(life.instance.logs())
        raise
    finally:
        code = await asyncio.to_thread(life.instance.stop)
    assert code == 0, life.instance.up and life.instance.up.said
    for part, lives in (("control-plane", story.control), ("agent", story.agent)):
        died = [one.partition("=")[0] for one in lives]
        assert points.passed(part) == died, life.instance.logs()
    for log in (home / "log").iterdir():
        assert not SECRETS.findall(log.read_text(errors="replace")), log
