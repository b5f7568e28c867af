"""This machine as an agent of a Porthole elsewhere: the agent alone."""

from porthole_client.cli.exits import Failure
from porthole_client.cli.up import plan, ready
from porthole_client.cli.up.instance import Instance
from porthole_client.home import Home, read_json


async def start(instance: Instance, home: Home, url: str | None, token: str | None) -> None:
    """Join with `token`, unless this machine has joined before, and start the agent.

    Raises:
        Failure: it could not join, or the agent did not come up.
    """
    if token is not None and url is not None:
        await ready.join(home, url, token)
    elif not read_json(home.agent / "identity.json"):
        raise Failure(
            "This machine has not joined a Porthole. Type `porthole agent join-token NAME` there"
            " and paste the line that it prints."
        )
    await instance.bring_up(plan.agent(home, None, instance.life), ready.started)
