"""The table of commands."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from porthole_control.db.metadata import NOW, Id, Json, Moment, Number, metadata

agent_commands = Table(
    "agent_commands",
    metadata,
    Column("id", Id, primary_key=True),
    Column("agent_id", Id, ForeignKey("agents.id"), nullable=False),
    # Whose subject it is, for the owner's view of the queue; NULL: the administrator's.
    Column("owner", Text),
    Column("subject_kind", Text, nullable=False),
    Column("subject_id", Id, nullable=False),
    # Commands of one subject are carried out in this order, one at a time.
    Column("sequence", Number, nullable=False),
    # The order of the desired state it carries; NULL for operations.
    Column("order_no", Number),
    Column("kind", Text, nullable=False),
    Column("payload", Json, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("next_attempt_at", Moment, nullable=False, server_default=NOW),
    # Only where the caller set one: desired states do not get old by waiting.
    Column("deadline", Moment),
    # The link that it was sent on.
    Column("epoch", Number),
    Column("last_error", Text),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("sent_at", Moment),
    Column("finished_at", Moment),
    CheckConstraint("subject_kind IN ('session', 'template', 'home')", name="subject_kind"),
    CheckConstraint(
        "state IN ('pending', 'sent', 'received', 'succeeded', 'failed', 'superseded', 'expired')",
        name="state",
    ),
    # The agent remembers keys: the same one twice would be an order that is never done.
    UniqueConstraint("idempotency_key"),
    # Two commands in one place of a subject's line could overtake each other.
    UniqueConstraint("subject_kind", "subject_id", "sequence"),
    # The dispatcher's: what is to be sent to an agent, oldest first.
    Index(
        "ix_agent_commands_pending",
        "agent_id",
        "next_attempt_at",
        "id",
        postgresql_where=text("state = 'pending'"),
    ),
    # Whether something of the same subject is still before it.
    Index(
        "ix_agent_commands_open",
        "subject_kind",
        "subject_id",
        "sequence",
        postgresql_where=text("state IN ('pending', 'sent', 'received')"),
    ),
    Index(
        "ix_agent_commands_unfinished",
        "agent_id",
        "epoch",
        postgresql_where=text("state IN ('sent', 'received')"),
    ),
    Index("ix_agent_commands_created", text("created_at DESC"), text("id DESC")),
)
