"""Porthole for programs: `Porthole`, `AsyncPorthole`, and what can go wrong.

Example:
    with Porthole("http://127.0.0.1:8080", token) as porthole:
        with porthole.sessions.running("desktop") as session:
            print(session.name)
"""

from porthole_client.clients import AsyncPorthole, Porthole
from porthole_client.errors import (
    Answered,
    Broken,
    Changed,
    ClientError,
    Conflict,
    FileFault,
    Invalid,
    NotAllowed,
    NotFound,
    NotSignedIn,
    Nowhere,
    ProgramFault,
    SessionEnded,
    StreamLost,
    StreamRefused,
    TimedOut,
    TooMany,
    Unreachable,
)
from porthole_client.steps import Retry

__all__ = [
    "Answered",
    "AsyncPorthole",
    "Broken",
    "Changed",
    "ClientError",
    "Conflict",
    "FileFault",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "Nowhere",
    "Porthole",
    "ProgramFault",
    "Retry",
    "SessionEnded",
    "StreamLost",
    "StreamRefused",
    "TimedOut",
    "TooMany",
    "Unreachable",
]
