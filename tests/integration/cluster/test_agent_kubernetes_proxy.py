"""An agent whose control plane is reached through a proxy, with a certificate of one's own."""

import asyncio

import pytest

from porthole_kube.kinds import SESSIONS
from tests.support.agent_replicas import a_cluster_agent, linked
from tests.support.behind_a_proxy import NAME, behind_a_proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def behind(test_database, tmp_path):
    async with behind_a_proxy(test_database, tmp_path) as one:
        yield one


@pytest.mark.parametrize("trusted_by", ["PORTHOLE_AGENT_AUTHORITY_FILE", "SSL_CERT_FILE"])
async def test_it_joins_links_and_works_through_the_proxy(behind, cluster, tmp_path, trusted_by):
    env = {
        "url": behind.url,
        "HTTPS_PROXY": behind.proxy,
        "https_proxy": behind.proxy,
        "NO_PROXY": "",
        "no_proxy": "",
        trusted_by: str(behind.authority),
    }
    async with a_cluster_agent(behind.served, cluster, tmp_path, **env) as agents:
        await linked(behind.served)
        made = await behind.served.control_plane.admin.post(
            "/api/v1/sessions", json={"template": "desktop", "name": "one"}
        )
        session = made.raise_for_status().json()["id"]

        async def there():
            things = await agents.place.admin.list(SESSIONS, agents.place.namespace)
            return [one["metadata"]["annotations"]["porthole.dev/session-id"] for one in things]

        await eventually(there, [session], within=60)
    assert len(behind.asked) >= 2, "joining and the link"
    assert {line.split()[1].partition(":")[0] for line in behind.asked} == {NAME}


async def test_without_its_authority_nothing_is_said_to_the_control_plane(
    behind, cluster, tmp_path
):
    env = {"url": behind.url, "HTTPS_PROXY": behind.proxy, "https_proxy": behind.proxy}
    async with a_cluster_agent(behind.served, cluster, tmp_path, **env) as agents:
        (process,) = agents.running

        async def refused():
            return "CERTIFICATE_VERIFY_FAILED" in agents.log(process)

        await eventually(refused, True, within=60)
        await asyncio.sleep(0)
    items = (await behind.served.control_plane.admin.get("/api/v1/agents")).json()["items"]
    assert items == []
