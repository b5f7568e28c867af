"""Sees to it that templates which ask for it have their image on every node beforehand."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from pydantic import ValidationError

from porthole_contract.cluster import Object
from porthole_contract.errors import PortholeError
from porthole_contract.names import LABEL_MANAGED_BY, OPERATOR
from porthole_contract.template import SessionTemplate
from porthole_kube.cluster import Cluster
from porthole_kube.kinds import DAEMON_SETS
from porthole_operator.desired.extras import read_extras
from porthole_operator.desired.prepull import prepull, prepull_name
from porthole_operator.desired.recipe import Site, shape_of

_AGAIN_AFTER: Final = 30.0

_log = structlog.get_logger(__name__)


class Prepull:
    """Makes, changes and removes the DaemonSets of templates, one template at a time.

    Args:
        cluster: where.
        site: returns what is the same for all templates now.
    """

    def __init__(self, cluster: Cluster, site: Callable[[], Site]) -> None:
        self._cluster = cluster
        self._site = site
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}

    def look(self, body: Object) -> None:
        """Look at a template; an earlier look at it is given up."""
        head = body["metadata"]
        key = (head["namespace"], head["name"])
        before = self._tasks.pop(key, None)
        if before is not None:
            before.cancel()
        self._tasks[key] = asyncio.create_task(self._keep(body), name=f"images of {key[1]}")

    async def close(self) -> None:
        """Do nothing more."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _keep(self, body: Object) -> None:
        while True:
            try:
                await self._settle(body)
            except PortholeError as error:
                _log.warning("image_not_fetched", template=body["metadata"]["name"], why=str(error))
                await asyncio.sleep(_AGAIN_AFTER)
            else:
                return

    async def _settle(self, body: Object) -> None:
        head = body["metadata"]
        wanted = self._wanted(body)
        name = prepull_name(head["name"])
        present = await self._cluster.get(DAEMON_SETS, head["namespace"], name)
        if present is None:
            if wanted is not None:
                await self._cluster.create(DAEMON_SETS, wanted)
            return
        if not _is_ours(present, head["uid"]):
            return  # what we did not make we do not touch
        if wanted is None:
            uid = present["metadata"]["uid"]
            await self._cluster.delete(DAEMON_SETS, head["namespace"], name, uid)
        elif shape_of(present) != shape_of(wanted):
            uid = present["metadata"]["uid"]
            same = {**wanted["metadata"], "uid": uid}
            await self._cluster.apply(DAEMON_SETS, {**wanted, "metadata": same})

    def _wanted(self, body: Object) -> Object | None:
        """Return what there should be; nothing for a template that is none or does not ask."""
        head = body["metadata"]
        try:
            template = SessionTemplate.from_manifest(body)
            extras = read_extras(template.spec.pod)
        except (ValidationError, PortholeError):
            return None
        if not extras.pre_pull or template.spec.image is None or "deletionTimestamp" in head:
            return None
        return prepull(self._site(), head, template.spec, extras)


def _is_ours(present: dict[str, Any], template: str) -> bool:
    head = present["metadata"]
    owners = head.get("ownerReferences") or ()
    ours = (head.get("labels") or {}).get(LABEL_MANAGED_BY) == OPERATOR
    return ours and any(owner.get("uid") == template for owner in owners)
