"""What an API server's answer means to whoever asked."""

import json
from typing import Any

from porthole_contract.errors import PortholeError, Refused


class Unanswered(PortholeError):
    """The API server cannot be reached or cannot answer now; trying again may help."""

    code = "cluster_unreachable"


class Missing(PortholeError):
    """There is no such object."""

    code = "object_missing"


class Conflicted(PortholeError):
    """The object is there already, or another one, or is not as it was read any more."""

    code = "object_changed"


class Expired(PortholeError):
    """The API server has forgotten the state that a watch should go on from."""

    code = "watch_expired"


class Denied(Refused):
    """The cluster understood and does not want it: no right, no quota, not valid.

    Args:
        said: the API server's own words.
    """

    def __init__(self, said: str) -> None:
        super().__init__("cluster_refused", f"The cluster refuses it: {said.rstrip('.')}.")
        self.said = said


def of_status(status: int, body: bytes | str) -> PortholeError:
    """Return what an answer that is no success means.

    Args:
        status: of HTTP.
        body: a `Status` object, or whatever something on the way has said instead.
    """
    try:
        said: Any = json.loads(body)
        message = str(said["message"])
    except (ValueError, KeyError, TypeError):
        message = f"it answered {status}"
    match status:
        case 404:
            return Missing(message)
        case 409:
            return Conflicted(message)
        case 410:
            return Expired(message)
        case 400 | 403 | 405 | 413 | 415 | 422:
            return Denied(message)
        case _:
            return Unanswered(f"The cluster's API server cannot do it now: {message}.")


def unreachable(error: BaseException) -> Unanswered:
    """Return what it means that there was no answer."""
    if isinstance(error, TimeoutError):
        return Unanswered("The cluster's API server does not answer in time.")
    why = str(error) or type(error).__name__
    return Unanswered(f"The cluster's API server cannot be reached: {why}.")
