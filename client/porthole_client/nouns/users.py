"""Users: who there is, and who they are in clusters. For administrators."""

from urllib.parse import quote

from porthole_client.models import User
from porthole_client.nouns.lists import everything
from porthole_client.steps import Send, Steps, call, keyed

PATH = "/api/v1/users"


def list_() -> Steps[list[User]]:
    """Return the users, by name."""
    return (yield from everything(PATH, User))


def call_in_clusters(user: str, kubernetes_username: str | None) -> Steps[User]:
    """Say who a user is to the API servers of clusters; None: nobody there is them.

    Sessions and homes that were made there for that owner are listed under them.
    """
    body = {"kubernetes_username": kubernetes_username}
    place = f"{PATH}/{quote(user, safe='')}"
    answer = yield from call(Send("PATCH", place, body=body, headers=keyed()))
    return User.model_validate_json(answer.body)
