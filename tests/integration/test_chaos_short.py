"""A short chaos run: everything real, what every queue is asked about, and bugs that are found."""

import pytest

from e2e.chaos.plan import CLASSIC
from e2e.chaos.report import told
from e2e.chaos.segment import Told, Wish, tell
from tests.support.local_runtime import CANNOT
from tests.support.planted import BUGS

pytestmark = [
    pytest.mark.skipif(bool(CANNOT), reason=CANNOT),
    pytest.mark.timeout(400),
]

STRUCK = (*CLASSIC, "link-cut", "agent-kill")
POINTS = ("local.create.record-written", "commands.claimed", "CommandResult.written")


async def test_nothing_is_lost_doubled_left_or_late() -> None:
    done = await tell(Wish(1, 0.6, kinds=STRUCK, points=POINTS, replicas=2, agents=1))
    assert done.violations == [], _said(done)
    assert done.line["effects"] > 50
    assert set(done.line["faults"]) >= set(CLASSIC)


@pytest.mark.parametrize("name", ["no-idempotency-key", "late-old-order"])
async def test_a_planted_bug_is_found(name: str) -> None:
    bug = BUGS[name]
    wish = Wish(1, 1.0, planted=name, kinds=bug.kinds, points=(), until=bug.is_found_as)
    done = await tell(wish)
    assert {one.kind for one in done.violations} & bug.is_found_as, done.line


def _said(done: Told) -> str:
    return "\n".join(
        "\n".join((told(one, done.begin), *done.words.get(one.session, [])))
        for one in done.violations
    )
