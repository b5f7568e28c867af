"""What the API answers, typed. A newer server may say more: unknown fields are kept aside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from porthole_contract.conditions import Condition
from porthole_contract.lifecycle import Phase
from porthole_contract.session import Desired, Protocol
from porthole_contract.template import SessionTemplateSpec


class View(BaseModel):
    """The base of all answers: a value, not a live object; ask again to see changes."""

    model_config = ConfigDict(frozen=True, extra="allow")


ViewT = TypeVar("ViewT", bound=View)


class Page(View, Generic[ViewT]):
    """One page of a list; `next` is the cursor of the page after it."""

    items: tuple[ViewT, ...]
    next: str | None = None


class Session(View):
    """One desktop."""

    id: UUID
    name: str
    owner: str
    template: str
    protocol: Protocol | None = None
    agent: str | None = None
    origin: str = "api"
    phase: Phase
    reason: str = ""
    message: str = ""
    queue_place: int | None = None
    desired: Desired = Desired.RUNNING
    order: int = 0
    conditions: tuple[Condition, ...] = ()
    home: str | None = None
    viewers: int = 0
    restarts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    last_activity_at: datetime | None = None


class SessionEvent(View):
    """Something that happened to a session: a word for programs, a sentence for people."""

    id: int
    at: datetime
    kind: str
    phase: Phase | None = None
    reason: str = ""
    message: str = ""


class InputDone(View):
    """What was done to a desktop; `still`: whether the last wait ended with a still screen."""

    actions: int
    still: bool | None = None


class Ticket(View):
    """The right to open one stream, once, within seconds; `url` is the WebSocket."""

    ticket: str
    stream: UUID | None = None
    url: str
    expires_at: datetime


class Offer(View):
    """What one agent says about a template."""

    agent: str
    offered: bool
    message: str = ""


class Template(View):
    """What a session is made from, in its newest revision."""

    name: str
    revision: int
    title: str
    description: str = ""
    protocols: tuple[Protocol, ...] = ()
    source: str = "api"
    available: bool = False
    message: str = ""
    offers: tuple[Offer, ...] = ()
    spec: SessionTemplateSpec


class Home(View):
    """A user's files."""

    id: UUID
    name: str
    owner: str
    agent: str | None = None
    size_bytes: int | None = None
    used_bytes: int | None = None
    holder: UUID | None = None
    created_at: datetime


class RdpServer(View):
    """A row that outlives the sessions which it is started as."""

    server_id: UUID
    name: str
    description: str = ""
    status: str
    message: str = ""
    host: str
    port: int
    expose: bool = False
    address: str | None = None
    certificate: str | None = None
    home: str
    session_id: UUID | None = None
    configuration: Mapping[str, Any] = {}
    resources: Mapping[str, Any] = {}
    created_at: datetime
    started_at: datetime | None = None


class RdpServerMade(RdpServer):
    """A server, and the password of its port, shown this one time; None: it has none."""

    password: str | None = None


class RdpServers(View):
    """One page of servers; `pagination` has `page`, `limit`, `total` and `pages`."""

    servers: tuple[RdpServer, ...]
    pagination: Mapping[str, int]


class RdpAction(View):
    """What became of a start, a stop or a restart."""

    server_id: UUID
    status: str
    message: str = ""
    session_id: UUID | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None


class RdpConnection(View):
    """What somebody who connects to a server would have found."""

    connection_available: bool
    port_open: bool
    drawn_percent: float
    resolution: str | None = None
    seconds: float
    message: str = ""


class Agent(View):
    """An enrolled place where sessions run."""

    id: UUID
    name: str
    state: str
    linked: bool = False
    runtime: str | None = None
    version: str | None = None
    capacity: Mapping[str, Any] = {}
    linked_at: datetime | None = None
    last_seen_at: datetime | None = None
    created_at: datetime


class JoinToken(View):
    """The right to enrol one agent, once; `token` is shown this one time.

    `url` is what the agent dials; `fingerprint` is that of the certificate it must see
    there, and part of the token.
    """

    id: UUID
    name: str
    token: str
    url: str
    fingerprint: str | None = None
    expires_at: datetime


class Token(View):
    """A token without its secret."""

    id: UUID
    name: str
    user: str
    kind: str = "token"
    scopes: tuple[str, ...] = ()
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None


class NewToken(Token):
    """A token that was just made; `token` is shown this one time."""

    token: str


class SignInLink(View):
    """A link that signs a browser in, once."""

    url: str
    expires_at: datetime


class Me(View):
    """Who a token belongs to, and what it is good for."""

    id: UUID
    name: str
    is_admin: bool = False
    scopes: tuple[str, ...] = ()


class User(View):
    """A user; `kubernetes_username` is who they are to the API servers of clusters."""

    id: UUID
    name: str
    is_admin: bool = False
    kubernetes_username: str | None = None
    created_at: datetime


class CommandSentence(View):
    """What happened to a command; `at` is None for what is so now."""

    at: datetime | None = None
    message: str


class Command(View):
    """A durable order of the control plane to one agent."""

    id: UUID
    agent: str | None = None
    subject_kind: str = ""
    subject_id: UUID | None = None
    kind: str
    state: str
    order: int | None = None
    attempts: int = 0
    sequence: int | None = None
    epoch: int | None = None
    created_at: datetime
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    finished_at: datetime | None = None
    last_error: str | None = None
    story: list[CommandSentence] = []
