"""From the agent to a session's gate: the session's own pod, and pinned TLS.

A session's status says what its gate's certificate is. Where the gate is comes from nobody's
words: it is the address of the pod that the cluster knows to belong to that very session.
"""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from typing import Final

from porthole_agent.pinning import BUFFER, check_pin
from porthole_contract.cluster import Object
from porthole_contract.errors import Refused
from porthole_contract.stream.pinning import pinned_tls
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Unanswered
from porthole_kube.kinds import PODS, SESSIONS
from porthole_kube.objects import uid_of

PORT: Final = 7443
DESKTOP: Final = "desktop"
"""The container whose words are a session's logs."""
_LOG_LINES: Final = 500
_WITHIN: Final = 5.0


def belongs_to(pod: Object, session: Object) -> bool:
    """Whether a pod is run for this very session, and for none of its name before it."""
    return any(
        owner.get("controller") is True
        and owner.get("kind") == SESSIONS.name
        and owner.get("apiVersion") == SESSIONS.api_version
        and owner.get("uid") == uid_of(session)
        for owner in pod["metadata"].get("ownerReferences") or ()
    )


async def pod_of(api: Cluster, session: Object) -> Object:
    """Return a session's own pod.

    Raises:
        Refused: `gate_not_ready` or `gate_not_genuine`.
    """
    metadata = session["metadata"]
    try:
        pod = await api.get(PODS, metadata["namespace"], metadata["name"], within=_WITHIN)
    except Unanswered as error:
        raise Refused("gate_not_ready", str(error)) from error
    if pod is None:
        raise Refused("gate_not_ready", "The session has no pod now.")
    if not belongs_to(pod, session):
        raise Refused("gate_not_genuine", "The pod of the session's name is not its own.")
    return pod


async def connect(api: Cluster, session: Object) -> tuple[StreamReader, StreamWriter]:
    """Connect to a session's gate; TLS is done and its certificate is the right one.

    Raises:
        Refused: `gate_not_ready` or `gate_not_genuine`.
    """
    gate = (session.get("status") or {}).get("gate") or {}
    fingerprint = gate.get("fingerprint")
    if not fingerprint:
        raise Refused("gate_not_ready", "The session is not running.")
    pod = await pod_of(api, session)
    address = (pod.get("status") or {}).get("podIP")
    if not address:
        raise Refused("gate_not_ready", "The session's pod has no address yet.")
    try:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(
                address, PORT, ssl=pinned_tls(), server_hostname="gate", limit=BUFFER
            )
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise Refused(
            "gate_not_ready", f"The session's gate does not answer: {error or 'time is up'}."
        ) from error
    check_pin(writer, str(fingerprint))
    return reader, writer


async def logs(api: Cluster, session: Object) -> str:
    """Return the last lines that a session's programs have said; none if it has no pod.

    Raises:
        Refused: its pod is not its own.
    """
    try:
        pod = await pod_of(api, session)
    except Refused as error:
        if error.code == "gate_not_ready":
            return ""
        raise
    metadata = pod["metadata"]
    return await api.log(metadata["namespace"], metadata["name"], DESKTOP, lines=_LOG_LINES)
