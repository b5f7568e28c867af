"""Tables of agents."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import BYTEA

from porthole_control.db.metadata import (
    EMPTY_LIST,
    EMPTY_OBJECT,
    NOW,
    Id,
    Json,
    Moment,
    Number,
    metadata,
)

agents = Table(
    "agents",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    # Ed25519, 32 bytes; the agent made it and alone holds the private half.
    Column("public_key", BYTEA, nullable=False),
    Column("enrolled_by", Id, ForeignKey("users.id"), nullable=False),
    Column("state", Text, nullable=False, server_default="enrolled"),
    Column("labels", Json, nullable=False, server_default=EMPTY_OBJECT),
    # Rises with every link and never falls: what an older link says is worth nothing.
    Column("epoch", Number, nullable=False, server_default=text("0")),
    # Which replica of the control plane has the link; NULL: none.
    Column("linked_replica", Id),
    # Which process of the agent has it, and which ones lost it lately while they lived:
    # one that comes back means that two processes claim one identity.
    Column("link_instance", Id),
    Column("superseded", Json, nullable=False, server_default=EMPTY_LIST),
    Column("linked_at", Moment),
    Column("last_seen_at", Moment),
    # What the last link said of itself.
    Column("version", Text),
    Column("runtime", Text),
    # Which cluster (or machine) it speaks for: another one under the same identity is refused.
    Column("runtime_uid", Text),
    Column("capacity", Json, nullable=False, server_default=EMPTY_OBJECT),
    Column("conditions", Json, nullable=False, server_default=EMPTY_LIST),
    # Since when it may have been told more than is written here, for the database was put back;
    # NULL: it has told since what it has.
    Column("unheard_since", Moment),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("updated_at", Moment, nullable=False, server_default=NOW),
    Column("revoked_at", Moment),
    CheckConstraint("state IN ('enrolled', 'draining', 'revoked')", name="state"),
    # A name is free again once its agent is revoked; a key never is.
    Index("uq_agents_name", "name", unique=True, postgresql_where=text("state <> 'revoked'")),
    Index("uq_agents_public_key", "public_key", unique=True),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", BYTEA, nullable=False),
    Column("labels", Json, nullable=False, server_default=EMPTY_OBJECT),
    Column("created_by", Id, ForeignKey("users.id"), nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    # Whom it let in: the same key may redeem it again (its answer was lost), no other may.
    Column("agent_id", Id, ForeignKey("agents.id")),
)

agent_templates = Table(
    "agent_templates",
    metadata,
    Column("agent_id", Id, ForeignKey("agents.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("offered", Boolean, nullable=False),
    # Why it is not offered, in a sentence.
    Column("message", Text, nullable=False, server_default=""),
    # What it is, for a template that was made where the agent is; it counts revisions by
    # itself: one more whenever the digest is another.
    Column("digest", Text, ForeignKey("template_contents.digest")),
    Column("revision", Integer, nullable=False, server_default=text("1")),
    Column("updated_at", Moment, nullable=False, server_default=NOW),
)
