"""Files of a session that sleeps, in a cluster: the operator is asked for a pod that serves them.

The wish is an annotation of the Session; that it is fulfilled is told by the gate in its status.
The operator takes the wish back when nobody uses the files any more, or when it cannot be.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from porthole_contract.cluster import Object
from porthole_contract.configuration import FILES_LONGEST
from porthole_contract.errors import Refused
from porthole_contract.lifecycle import Phase
from porthole_contract.names import ANNOTATION_FILES
from porthole_contract.session import Desired
from porthole_kube.cluster import Cluster
from porthole_kube.errors import Conflicted, Missing, Unanswered
from porthole_kube.kinds import SESSIONS
from porthole_kube.objects import annotation, is_ending, key_of, uid_of

_WITHIN: Final = 50.0
"""Seconds until a pod that serves the files must be there: whoever asks is told why it is not
before they give up by themselves."""
_LOOK_EVERY: Final = 0.1


async def lend(api: Cluster, known: Callable[[], Object], put: Callable[[Object], None]) -> str:
    """Return the fingerprint of the gate that serves a sleeping session's files.

    Args:
        api: the API server.
        known: returns the session as it was last seen; raises Refused if it is not there.
        put: takes in the session as it is after the wish.

    Raises:
        Refused: it does not sleep, has no files, or they cannot be served now.
    """
    asked = False
    try:
        async with asyncio.timeout(_WITHIN):
            while True:
                thing = known()
                _check(thing)
                # The wish of somebody before us may be over at any moment: then it is ours.
                if not asked and annotation(thing, ANNOTATION_FILES) is None:
                    asked = True
                    put(await _ask(api, thing))
                if (found := fingerprint(known())) is not None:
                    return found
                await asyncio.sleep(_LOOK_EVERY)
    except TimeoutError:
        raise Refused("gate_not_ready", "Its files cannot be reached now.") from None


async def _ask(api: Cluster, thing: Object) -> Object:
    """Wish for its files; return the session with the wish."""
    until = (datetime.now(UTC) + FILES_LONGEST).isoformat(timespec="seconds")
    head = {"uid": uid_of(thing), "annotations": {ANNOTATION_FILES: until}}
    try:
        return await api.merge(SESSIONS, *key_of(thing), {"metadata": head})
    except (Conflicted, Missing, Unanswered) as error:
        raise Refused("gate_not_ready", str(error)) from error


def fingerprint(thing: Object) -> str | None:
    """Return what the gate is known by that serves its files; None: it is not there yet.

    Raises:
        Refused: there will be none.
    """
    _check(thing)
    gate = (thing.get("status") or {}).get("gate") or {}
    if gate.get("fingerprint"):
        return str(gate["fingerprint"])
    if annotation(thing, ANNOTATION_FILES) is None:
        raise Refused("files_unreachable", "The cluster cannot serve its files now.")
    return None


def _check(thing: Object) -> None:
    spec, status = thing.get("spec") or {}, thing.get("status") or {}
    phase = status.get("phase")
    asleep = phase == Phase.HIBERNATED and spec.get("desired") == Desired.HIBERNATED
    if not asleep or is_ending(thing):
        raise Refused("session_not_asleep", f"The session is {phase}; try again in a moment.")
    if not spec.get("home"):
        sentence = "The session has no home, so none of its files were kept when it was stopped."
        raise Refused("no_files", sentence)
