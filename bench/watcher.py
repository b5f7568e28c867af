"""`python -m bench.watcher NAMESPACE`: a Kopf operator that only watches, and does nothing.

It is told of the same objects as Porthole's operator. What it takes for each of them is what
Kopf takes; KUBECONFIG says where.
"""

import asyncio
import sys
from typing import Any

import kopf

from porthole_contract.names import GROUP, LABEL_HOME, LABEL_SESSION, VERSION


def seen(**_: Any) -> None:
    """Take note of nothing."""


def main() -> None:
    """Watch until asked to end."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry)(kopf.login_with_kubeconfig)
    for plural in ("sessions", "sessiontemplates", "sessiontickets"):
        kopf.on.event(GROUP, VERSION, plural, registry=registry)(seen)
    for plural, label in (("pods", LABEL_SESSION), ("persistentvolumeclaims", LABEL_HOME)):
        kopf.on.event("", "v1", plural, labels={label: kopf.PRESENT}, registry=registry)(seen)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    running = kopf.operator(
        registry=registry, settings=settings, namespaces=[sys.argv[1]], standalone=True
    )
    asyncio.run(running)


if __name__ == "__main__":
    main()
