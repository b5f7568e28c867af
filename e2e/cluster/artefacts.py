"""Everything that is built for a cluster, in an order that suits the building."""

from e2e.cluster.cache import Cache
from e2e.cluster.engine import ENGINE
from e2e.cluster.kubernetes import KUBERNETES
from e2e.cluster.node_image import BASE, NODE_IMAGE
from e2e.cluster.programs import (
    CONTAINERD,
    COREDNS,
    HELM,
    KIND,
    KWOK,
    NODE_AGENT,
    PAUSE,
    PROBE,
    RUNC,
)

COMPILED = (KUBERNETES, CONTAINERD, COREDNS, NODE_AGENT)
"""What keeps all processors busy."""

FETCHED = (ENGINE, BASE, RUNC, KIND, PAUSE)
"""What waits for mirrors and disks, or is small; it is made beside the others."""

ALL = {artefact.name: artefact for artefact in (*COMPILED, *FETCHED, NODE_IMAGE, HELM, KWOK, PROBE)}
"""Everything, by name."""


def obtain_for_a_cluster(cache: Cache) -> None:
    """See to it that all is there that a cluster needs where no image can be pulled.

    Raises:
        Failure: something cannot be made here.
    """
    cache.obtain_all(COMPILED, FETCHED)
    cache.obtain(NODE_IMAGE)
