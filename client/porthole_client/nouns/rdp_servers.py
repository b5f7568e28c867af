"""RDP servers: rows that outlive the sessions which they are started as."""

from typing import Any
from uuid import UUID

from porthole_client.models import (
    RdpAction,
    RdpConnection,
    RdpServer,
    RdpServerMade,
    RdpServers,
)
from porthole_client.steps import Send, Steps, call, keyed

PATH = "/api/v1/rdp/servers"
_PAGE = 100
_WAITED = 60  # seconds that the server is asked to wait
_BEYOND = 10.0


def create(
    name: str,
    *,
    agent: str | None = None,
    expose: bool = False,
    idempotency_key: str | None = None,
    **fields: Any,
) -> Steps[RdpServerMade]:
    """Make a server, stopped.

    Args:
        name: what to call it.
        agent: where it is to be; None has one chosen.
        expose: whether RDP programs may come in on its port, where it runs, with the password
            that is returned.
        idempotency_key: the same key asks for the same server again, not for another one.
        fields: `description`, `configuration`, `resources`.
    """
    body = {"name": name, "agent": agent, "expose": expose or None, **fields}
    answer = yield from call(
        Send(
            "POST",
            PATH,
            body={key: value for key, value in body.items() if value is not None},
            headers=keyed(idempotency_key),
        )
    )
    return RdpServerMade.model_validate_json(answer.body)


def list_() -> Steps[list[RdpServer]]:
    """Return the servers, newest first."""
    found: list[RdpServer] = []
    number = pages = 1
    while number <= pages:
        query = {"page": str(number), "limit": str(_PAGE)}
        answer = yield from call(Send("GET", PATH, query=query))
        page = RdpServers.model_validate_json(answer.body)
        found += page.servers
        number, pages = number + 1, page.pagination["pages"]
    return found


def get(server: UUID | str) -> Steps[RdpServer]:
    """Return one server by its id."""
    answer = yield from call(Send("GET", f"{PATH}/{server}"))
    return RdpServer.model_validate_json(answer.body)


def change(server: UUID | str, **fields: Any) -> Steps[RdpServer]:
    """Change a server: `name`, `description`, parts of `configuration` and `resources`."""
    answer = yield from call(Send("PUT", f"{PATH}/{server}", body=fields, headers=keyed()))
    return RdpServer.model_validate_json(answer.body)


def start(server: UUID | str) -> Steps[RdpAction]:
    """Have a server run; returns when it does, or after a minute."""
    return (yield from _act(server, "start"))


def stop(server: UUID | str) -> Steps[RdpAction]:
    """End what a server runs as; returns when that is gone, or after a minute."""
    return (yield from _act(server, "stop"))


def restart(server: UUID | str) -> Steps[RdpAction]:
    """End what a server runs as and start it anew, as it is configured now."""
    return (yield from _act(server, "restart"))


def expose(server: UUID | str) -> Steps[RdpServerMade]:
    """Let RDP programs come in on a server's port, with a new password, which is returned."""
    answer = yield from call(Send("POST", f"{PATH}/{server}/password", headers=keyed()))
    return RdpServerMade.model_validate_json(answer.body)


def hide(server: UUID | str) -> Steps[RdpServer]:
    """Let nobody come in on a server's port any more; who did is cut off."""
    answer = yield from call(Send("DELETE", f"{PATH}/{server}/password"))
    return RdpServer.model_validate_json(answer.body)


def delete(server: UUID | str, *, force: bool = False) -> Steps[None]:
    """Delete a server, even one that runs if `force`; its home stays."""
    query = {"force": "true"} if force else {}
    yield from call(Send("DELETE", f"{PATH}/{server}", query=query))


def try_connection(server: UUID | str, *, force: bool = False) -> Steps[RdpConnection]:
    """Connect to a server and say whether it drew; `force` takes a viewer's place."""
    query = {"force": "true"} if force else {}
    answer = yield from call(
        Send("POST", f"{PATH}/{server}/test-connection", query=query, once=True)
    )
    return RdpConnection.model_validate_json(answer.body)


def _act(server: UUID | str, action: str) -> Steps[RdpAction]:
    send = Send(
        "POST",
        f"{PATH}/{server}/{action}",
        query={"wait": str(_WAITED)},
        headers=keyed(),
        timeout=_WAITED + _BEYOND,
    )
    answer = yield from call(send)
    return RdpAction.model_validate_json(answer.body)
