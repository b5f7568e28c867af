"""An agent that joins with its ServiceAccount, of which a real API server knows."""

import base64
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from porthole_contract.link.greeting import new_key
from porthole_control.agents import accounts
from tests.support.api_server import ApiServer
from tests.support.control_plane import ControlPlane, a_control_plane
from tests.support.postgres import TestDatabase

ENROL = "/api/v1/agents/enrol"


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A namespace with two accounts that may be let in, or not, and ours, which may ask."""
    name = f"accounts-{uuid4().hex[:8]}"
    api_server.kubectl("create", "namespace", name)
    for account in ("agent", "other", "control-plane"):
        api_server.kubectl("-n", name, "create", "serviceaccount", account)
    role = f"porthole-reviews-{name}"
    api_server.kubectl("create", "clusterrole", role, "--verb=create", "--resource=tokenreviews")
    ours = f"--serviceaccount={name}:control-plane"
    api_server.kubectl("create", "clusterrolebinding", role, f"--clusterrole={role}", ours)
    return name


@pytest.fixture
def token(api_server: ApiServer, namespace: str) -> Callable[..., str]:
    def made(account: str, audience: str = accounts.AUDIENCE) -> str:
        words = ("create", "token", account, f"--audience={audience}")
        return api_server.kubectl("-n", namespace, *words).strip()

    return made


@pytest.fixture
def in_a_pod(
    api_server: ApiServer,
    token: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a pod of ours finds: where its API server is, and a token of its own."""
    mounted = tmp_path / "serviceaccount"
    mounted.mkdir()
    own = "https://kubernetes.default.svc.cluster.local"
    (mounted / "token").write_text(token("control-plane", own))
    (mounted / "ca.crt").write_bytes(api_server.authority_file.read_bytes())
    monkeypatch.setattr(accounts, "_MOUNTED", mounted)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(api_server.port))


def a_key() -> str:
    return base64.b64encode(new_key().public_key().public_bytes_raw()).decode()


async def enrol(control_plane: ControlPlane, token: str, key: str) -> tuple[int, dict[str, str]]:
    async with control_plane.client() as agent:
        answer = await agent.post(ENROL, json={"token": token, "public_key": key})
    return answer.status_code, answer.json()


@pytest.mark.usefixtures("in_a_pod")
async def test_replicas_of_one_key_are_one_agent(
    test_database: TestDatabase, tmp_path: Path, namespace: str, token: Callable[..., str]
):
    known = f"{namespace}/agent=cluster, {namespace}/unused=elsewhere"
    async with a_control_plane(
        test_database, tmp_path / "home", cluster_agents=known
    ) as control_plane:
        key = a_key()
        status, first = await enrol(control_plane, token("agent"), key)
        assert (status, first["name"]) == (200, "cluster")
        assert await enrol(control_plane, token("agent"), key) == (200, first)
        status, taken = await enrol(control_plane, token("agent"), a_key())
        assert (status, taken["code"]) == (409, "agent_exists")

        revoked = await control_plane.admin.delete(f"/api/v1/agents/{first['agent_id']}")
        assert revoked.status_code == 204
        status, refused = await enrol(control_plane, token("agent"), key)
        assert (status, refused["code"]) == (403, "agent_revoked")
        status, anew = await enrol(control_plane, token("agent"), a_key())
        assert (status, anew["name"]) == (200, "cluster")


@pytest.mark.usefixtures("in_a_pod")
async def test_whose_token_it_is_decides(
    test_database: TestDatabase,
    tmp_path: Path,
    api_server: ApiServer,
    namespace: str,
    token: Callable[..., str],
):
    known = {f"{namespace}/agent": "cluster"}
    async with a_control_plane(
        test_database, tmp_path / "home", cluster_agents=known
    ) as control_plane:
        gone = token("agent")
        api_server.kubectl("-n", namespace, "delete", "serviceaccount", "agent")
        api_server.kubectl("-n", namespace, "create", "serviceaccount", "agent")
        made_up = f"{gone.rpartition('.')[0]}.{'A' * 342}"
        for wrong in (token("other"), token("agent", "somebody-else"), gone, made_up, "ey.e.e"):
            status, refused = await enrol(control_plane, wrong, a_key())
            assert (status, refused["code"]) == (403, "account_unknown")
        assert (await enrol(control_plane, token("agent"), a_key()))[0] == 200


async def test_outside_of_a_cluster_no_account_lets_anybody_in(control_plane: ControlPlane):
    status, refused = await enrol(control_plane, "ey.e.e", a_key())
    assert (status, refused["code"]) == (403, "account_unknown")
