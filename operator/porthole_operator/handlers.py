"""What Kopf tells us, and what it means: whom to look at.

Handlers observe events and nothing else: Kopf writes nothing (no finalizers, no annotations,
no Events of its own) and is our eyes alone. What is to be done about a Session is found out by
its worker: observe, decide, apply (`work`).
"""

from datetime import UTC, datetime
from typing import Any, Final

import kopf
from kubernetes.aio.client import Configuration

from porthole_contract.names import GROUP, LABEL_HOME, LABEL_SESSION, VERSION
from porthole_operator.prepull import Prepull
from porthole_operator.tickets import Tickets
from porthole_operator.watchfulness import Watchfulness
from porthole_operator.work import Work

_SECONDS: Final = 300
"""How long one watch lasts; it is begun again where it ended. The API server takes no fraction."""


def handlers(
    work: Work,
    tickets: Tickets,
    images: Prepull,
    watchfulness: Watchfulness,
    configuration: Configuration,
) -> kopf.OperatorRegistry:
    """Return what Kopf is to call."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection(configuration)

    # None of them waits for anything; they are coroutines to stay in the loop's thread.
    @kopf.on.event(GROUP, VERSION, "sessions", registry=registry)
    async def session(type: str, name: str, meta: kopf.Meta, **_: Any) -> None:  # noqa: A002 - Kopf's name
        namespace = meta.namespace or ""
        version = None if type == "DELETED" else str(meta["resourceVersion"])
        watchfulness.told((namespace, name), version, datetime.now(UTC))
        work.wake(namespace, name, version)

    @kopf.on.event("", "v1", "pods", labels={LABEL_SESSION: kopf.PRESENT}, registry=registry)
    async def pod(type: str, name: str, meta: kopf.Meta, **_: Any) -> None:  # noqa: A002 - Kopf's name
        work.wake(meta.namespace or "", name)
        if type == "DELETED":
            work.home_changed(meta.namespace or "")

    @kopf.on.event(
        "", "v1", "persistentvolumeclaims", labels={LABEL_HOME: kopf.PRESENT}, registry=registry
    )
    async def home(meta: kopf.Meta, **_: Any) -> None:
        work.home_changed(meta.namespace or "")

    @kopf.on.event(GROUP, VERSION, "sessiontemplates", registry=registry)
    async def template(type: str, name: str, body: kopf.Body, meta: kopf.Meta, **_: Any) -> None:  # noqa: A002 - Kopf's name
        work.template_changed(meta.namespace or "", name)
        if type != "DELETED":  # what it had goes with it
            images.look(dict(body))

    @kopf.on.event(GROUP, VERSION, "sessiontickets", registry=registry)
    async def ticket(type: str, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - Kopf's name
        if type != "DELETED":
            tickets.answer(dict(body))

    return registry


class _NothingKept(kopf.DiffBaseStorage):
    """What Kopf compares an object with: nothing, for nobody asks what has changed.

    Otherwise it copies each object deeply, each time that it is told of it.
    """

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass


def kopf_settings() -> kopf.OperatorSettings:
    """Return how Kopf is to watch."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # Kinds and namespaces are known; to watch for more would need rights on all of them.
    settings.scanning.disabled = True
    settings.watching.server_timeout = _SECONDS
    settings.watching.label_selectors["pods"] = LABEL_SESSION
    settings.watching.label_selectors["persistentvolumeclaims"] = LABEL_HOME
    settings.networking.trust_env = False
    settings.persistence.diffbase_storage = _NothingKept()
    # Handlers do nothing that would have to be waited for when a replica makes room.
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 0.5
    settings.process.ultimate_exiting_timeout = None
    return settings


async def _connection(configuration: Configuration) -> kopf.ConnectionInfo:
    """Return how the API server is reached, from the client's own configuration."""
    header: str | None = await configuration.get_api_key_with_prefix("BearerToken")
    token = None if header is None else header.split(" ", 1)[-1]
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        token=token,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        trust_env=False,
    )
