"""Real gates and desktops, started from what the operator wrote into its Secrets.

What a gate says about itself makes a session Running, tells who looks, and ends in
hibernation; and a ticket opens it for whoever may, without any control plane.
"""

import asyncio
import json
import secrets
import ssl
from uuid import uuid4

import pytest
import pytest_asyncio

from porthole_contract.cluster import Object
from porthole_contract.errors import Invalid
from porthole_contract.stream.preface import Request, encode
from porthole_contract.stream.sealed import public_half, unseal
from porthole_kube.kinds import PODS, SESSIONS, TICKETS
from tests.support.desktop_pair import read_answer
from tests.support.operator_desks import ADDRESS, a_place_with_desks
from tests.support.rfb_client import RfbClient
from tests.support.waiting import eventually

pytestmark = [pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(cluster, tmp_path_factory):
    async with a_place_with_desks(cluster, tmp_path_factory.mktemp("operator")) as made:
        await made.start()
        yield made


async def ask(place, *, private: bytes, **spec: object) -> Object:
    """Ask for a ticket; return its status when it is answered."""
    name = f"ticket-{uuid4().hex[:8]}"
    ticket = {
        "apiVersion": "porthole.dev/v1alpha1",
        "kind": "SessionTicket",
        "metadata": {"name": name},
        "spec": {"publicKey": public_half(private), **spec},
    }
    await place.apply(ticket)
    for _ in range(600):
        found = await place.get(name, TICKETS)
        status = found.get("status") or {}
        if status.get("state", "Pending") != "Pending":
            return {**status, "uid": found["metadata"]["uid"], "name": name}
        await asyncio.sleep(0.05)
    raise AssertionError(place.said())


async def open_gate(place, status: Object, private: bytes) -> RfbClient:
    """Open the screen with what a ticket has given."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(
        ADDRESS, place.port, ssl=tls, server_hostname="gate"
    )
    grant = unseal(status["grant"], private, about=status["uid"])
    request = Request(stream=uuid4(), channel="vnc", protocol="rfb", mode="control", grant=grant)
    writer.write(encode(request))
    answer = await read_answer(reader)
    assert not hasattr(answer, "error"), answer
    return await RfbClient.greet(reader, writer)


async def test_a_screen_is_seen_with_a_ticket_and_nothing_else(place):
    await place.apply_session("seen")
    status = await place.reaches("seen", phase="Running")
    # The gate said so: no kubelet has called the pod ready.
    pod = await place.get("seen", PODS)
    conditions = {one["type"]: one["status"] for one in pod["status"]["conditions"]}
    assert conditions["Ready"] == "False"
    assert {one["type"]: one["status"] for one in status["conditions"]}["Ready"] == "True"

    private = secrets.token_bytes(32)
    ticket = await ask(place, private=private, session="seen", owner="ada")
    assert (ticket["state"], ticket["podName"], ticket["port"]) == ("Granted", "seen", 7443)
    assert ticket["fingerprint"] == status["gate"]["fingerprint"]
    with pytest.raises(Invalid):
        unseal(ticket["grant"], secrets.token_bytes(32), about=ticket["uid"])
    client = await open_gate(place, ticket, private)
    await client.refresh()
    assert len(client.image().getcolors(1 << 24)) > 2
    await place.reaches("seen", viewers=1)
    client.writer.close()
    await place.reaches("seen", viewers=0)
    owned = await place.get(ticket["name"], TICKETS)
    assert [one["name"] for one in owned["metadata"]["ownerReferences"]] == ["seen"]

    private = secrets.token_bytes(32)
    refused = [
        await ask(place, private=private, session="seen", owner="eve"),
        await ask(place, private=private, session="unseen"),
        await ask(place, private=private, session="seen", channel="files"),
    ]
    assert [one["reason"] for one in refused] == [
        "SessionUnknown",
        "SessionUnknown",
        "ChannelNotServed",
    ]
    assert refused[0]["message"].replace("seen", "") == refused[1]["message"].replace("unseen", "")
    assert all("grant" not in one for one in refused)
    await place.delete("seen")
    await place.gone("seen")

    async def ticket_is_there() -> bool:
        return await place.get(ticket["name"], TICKETS) is not None

    await eventually(ticket_is_there, False, within=60)


async def test_what_nobody_uses_is_put_to_sleep_and_says_who_did_it(place):
    await place.apply_session("idler", home="bed", idle={"after": "4s"})
    await place.reaches("idler", phase="Running")
    status = await place.reaches("idler", phase="Hibernated")
    assert status["reason"] == "Idle"
    session = await place.get("idler")
    assert session["spec"]["desired"] == "Hibernated"
    owners = {
        entry["manager"]
        for entry in session["metadata"]["managedFields"]
        if "f:desired" in entry["fieldsV1"].get("f:spec", {})
    }
    assert owners == {"porthole-idle"}
    await place.apply_session("idler", home="bed", desired="Running")
    await place.reaches("idler", phase="Running")
    ticket = await ask(place, private=secrets.token_bytes(32), session="idler")
    assert ticket["state"] in {"Granted", "Refused"}
    await place.delete("idler")
    await place.gone("idler")


async def test_nobody_is_let_in_where_the_policy_is_not_in_force(place):
    await place.apply_session("open")
    await place.reaches("open", phase="Running")
    binding = f"porthole-{place.mark}-session-tickets"
    kind = "validatingadmissionpolicybinding"
    found = await asyncio.to_thread(place.server.kubectl, "get", kind, binding, "-o", "json")
    await asyncio.to_thread(place.server.kubectl, "delete", kind, binding)
    try:
        # The operator believes for a minute what it has seen; another one has seen nothing.
        (operator,) = place.operators
        assert await place.stop(operator) == 0
        await asyncio.sleep(1)
        await place.start()
        ticket = await ask(place, private=secrets.token_bytes(32), session="open")
        assert (ticket["state"], ticket["reason"]) == ("Refused", "PolicyMissing")
    finally:
        kept = json.loads(found)
        kept["metadata"] = {"name": binding}
        await asyncio.to_thread(place.server.apply, kept)
    assert await place.get("open", SESSIONS) is not None
    await place.delete("open")
    await place.gone("open")
