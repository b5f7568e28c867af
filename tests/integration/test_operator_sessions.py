"""The operator on a real API server, with its own rights and policies; a test plays the nodes."""

import pytest

from porthole_operator.kinds import CHILDREN, PODS
from tests.support.operator_cluster import an_operator

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
async def place(cluster, tmp_path):
    async with an_operator(cluster, tmp_path) as running:
        yield running


async def test_ten_lines_become_a_desktop_and_leave_nothing(place):
    await place.apply_session()
    status = await place.reaches(phase="Running")
    assert status["reason"] == "Drawn"
    assert status["gate"]["address"] == "192.0.2.1:7443"
    assert {one["type"]: one["status"] for one in status["conditions"]} == {
        "Ready": "True",
        "Scheduled": "True",
        "GateReady": "True",
    }
    for kind in (PODS, *CHILDREN):
        child = await place.get(kind=kind)
        assert child["metadata"]["ownerReferences"][0]["name"] == "one"
    await place.delete()
    await place.gone()
    assert place.nodes.begun == {"one": 1}
