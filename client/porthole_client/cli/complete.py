"""What the shell offers when Tab is pressed after a noun; silent where nobody answers."""

from collections.abc import Callable, Iterable

from porthole_client.clients import Porthole
from porthole_client.errors import ClientError
from porthole_client.place import find
from porthole_client.steps import Retry

_PATIENCE = 2.0  # seconds: nobody waits longer for a Tab


def names(of: Callable[[Porthole], Iterable[str]]) -> Callable[[str], list[str]]:
    """Return what completes a name out of those that `of` finds."""

    def complete(incomplete: str) -> list[str]:
        try:
            place = find()
            with Porthole(
                place.server,
                place.token,
                fingerprint=place.fingerprint,
                timeout=_PATIENCE,
                retry=Retry(times=0),
            ) as porthole:
                return sorted(name for name in of(porthole) if name.startswith(incomplete))
        except ClientError:
            return []

    return complete


sessions = names(lambda porthole: (session.name for session in porthole.sessions.list()))
templates = names(lambda porthole: (template.name for template in porthole.templates.list()))
homes = names(lambda porthole: (home.name for home in porthole.homes.list()))
rdp_servers = names(lambda porthole: (server.name for server in porthole.rdp_servers.list()))
users = names(lambda porthole: (user.name for user in porthole.users.list()))
agents = names(lambda porthole: (agent.name for agent in porthole.agents.list()))
