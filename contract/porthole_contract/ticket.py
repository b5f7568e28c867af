"""SessionTicket `porthole.dev/v1alpha1`: the right to open one stream, asked of the cluster.

Who has no control plane asks the operator: they create a SessionTicket that names a session
and carries the public half of a key made for this once. A policy of the API server lets it
pass only from those who may own that session or may `create sessions/connect`; the operator
answers in its status with a grant for the session's gate, sealed so that only the holder of
the key can read it. See `docs/decisions/0011-a-ticket-is-an-object.md`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from porthole_contract.model import NO_NUL, Code, Frozen, Message, Moment, Sentence
from porthole_contract.session import Name, Owner

TICKET_ISSUER = "operator"
"""The key id under which gates know the key that the operator made for their session."""
SECRET_TICKET_KEY = "ticket.pem"  # noqa: S105 - the name of an entry, not its value
"""The entry of a session's Secret that holds the private half; it is mounted nowhere."""


class TicketState(StrEnum):
    """What has become of a ticket."""

    PENDING = "Pending"  # the operator has not answered yet
    GRANTED = "Granted"  # its status carries the grant
    REFUSED = "Refused"  # there will be none; its message says why


class SessionTicketSpec(Frozen):
    """What is asked for. It never changes: ask again with another ticket."""

    session: Name
    """The name of the session, in the namespace of the ticket."""
    owner: Owner | None = None
    """Whose session it is, for those who open their own: who may own this owner's sessions
    may open them. Left out: whoever may `create sessions/connect` of that session."""
    channel: Annotated[str, Field(max_length=64, pattern=r"^[a-z]+$")] = "vnc"
    """What is opened: the screen, over `vnc` or `rdp`, as its desktop speaks."""
    mode: Literal["view", "control"] = "control"
    """What may be done on it: `view` to look, `control` to use it."""
    public_key: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")]
    """The standard base64 of an X25519 public key that was made for this ticket. The grant is
    sealed for it."""


class SessionTicketStatus(Message):
    """The operator's answer. Only the operator writes it."""

    state: TicketState = TicketState.PENDING
    """What has become of it: `Pending`, `Granted` or `Refused`."""
    reason: Code = ""
    """Why, as one word for programs."""
    message: Sentence = ""
    """Why, as a sentence for people."""
    grant: Annotated[str, Field(max_length=4096, pattern=r"^[A-Za-z0-9+/]*=*$")] | None = None
    """The grant for the session's gate, sealed for the key in the spec; base64."""
    expires_at: Moment | None = None
    """When the grant stops being good. The ticket is deleted soon after."""
    pod_name: Annotated[str, Field(max_length=253, pattern=NO_NUL)] | None = None
    """The pod whose gate takes the grant."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """The gate's port in that pod."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The SHA-256 of the gate's certificate: the grant is good there and nowhere else."""
