"""Everything that is built for a cluster, by name, in an order that suits the building."""

from e2e.cluster.cache import Artefact
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

FOR_A_CLUSTER: tuple[Artefact, ...] = (
    KUBERNETES,
    CONTAINERD,
    RUNC,
    COREDNS,
    NODE_AGENT,
    PAUSE,
    KIND,
    ENGINE,
    BASE,
    NODE_IMAGE,
)
"""What a cluster stands on where no image can be pulled."""

ALL = {artefact.name: artefact for artefact in (*FOR_A_CLUSTER, HELM, KWOK, PROBE)}
