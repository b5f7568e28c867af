"""Tables of sessions."""

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

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),
    Column("owner", Text, nullable=False),
    # `api`: its spec is ours to write. `kubectl`: only `desired` and deletion are.
    Column("origin", Text, nullable=False),
    # Reported for an owner whom its agent may not report for; listed under who enrolled it.
    Column("foreign_owner", Text),
    # An agent told us of it before we knew it (made there, or we are a restored copy).
    Column("adopted", Boolean, nullable=False, server_default=text("false")),
    Column("namespace", Text, nullable=False, server_default=""),
    # -- what it should be
    # The port on which its agent has RDP programs come in, and the hash of the password for that
    # (the contract's Exposure); NULL: none.
    Column("exposed", Json),
    Column("template", Text, nullable=False),
    # Which revision it was created with; the digest says what that was, for ever.
    Column("template_revision", Integer),
    Column("template_digest", Text, ForeignKey("template_contents.digest")),
    Column("spec", Json, nullable=False),
    Column("desired", Text, nullable=False),
    Column("order_no", Number, nullable=False),
    # The agent that its creator asked for; another is never chosen instead.
    Column("wanted_agent_id", Id, ForeignKey("agents.id")),
    # What that agent has to be labelled, whichever it is.
    Column("wanted_labels", Json, nullable=False, server_default=EMPTY_OBJECT),
    # In whose trace it was asked for: who waits is given to an agent in nobody's request.
    Column("traceparent", Text),
    Column("agent_id", Id, ForeignKey("agents.id")),
    Column("home_id", Id, ForeignKey("homes.id")),
    # We promised it the home, as against: it waits for it, or an agent says it has it.
    Column("home_assigned", Boolean, nullable=False, server_default=text("false")),
    Column("start_deadline", Moment),
    Column("delete_requested_at", Moment),
    # -- what it is, as its agent saw it
    Column("phase", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False, server_default=""),
    Column("conditions", Json, nullable=False, server_default=EMPTY_LIST),
    Column("reported_order", Number, nullable=False, server_default=text("0")),
    # Which of its reports is the newest: an older one that comes late changes nothing.
    Column("report_epoch", Number, nullable=False, server_default=text("0")),
    # The highest order whose ApplySession has succeeded: the agent once had it for certain.
    Column("applied_order", Number, nullable=False, server_default=text("0")),
    Column("applied_at", Moment),
    Column("gate", Json),
    Column("pod_name", Text),
    Column("started_at", Moment),
    Column("last_activity_at", Moment),
    Column("viewers", Integer, nullable=False, server_default=text("0")),
    Column("restarts", Integer, nullable=False, server_default=text("0")),
    Column("observed_at", Moment),
    # -- the row itself
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("updated_at", Moment, nullable=False, server_default=NOW),
    # When it ended; the row stays as its tombstone until its retention is over.
    Column("deleted_at", Moment),
    # Rises with every change; the ETag.
    Column("version", Number, nullable=False, server_default=text("1")),
    CheckConstraint("origin IN ('api', 'kubectl')", name="origin"),
    CheckConstraint("desired IN ('Running', 'Hibernated')", name="desired"),
    # Ended means ended: a phase that says otherwise would hold a name and a home for ever.
    CheckConstraint("(phase = 'Terminated') = (deleted_at IS NOT NULL)", name="ended"),
    # People call a session by its name, so an owner has a name once among living sessions.
    # What agents told us of is told apart by agent and namespace instead: a report must
    # never fail because of a name.
    Index(
        "uq_sessions_owner_name",
        "owner",
        "name",
        unique=True,
        postgresql_where=text("deleted_at IS NULL AND origin = 'api' AND NOT adopted"),
    ),
    # What we assign, we assign once: two sessions on one home would write over each other.
    # Covers our own promises only; what agents report is theirs and becomes a condition.
    Index(
        "uq_sessions_home_assigned",
        "home_id",
        unique=True,
        postgresql_where=text("deleted_at IS NULL AND home_assigned"),
    ),
    Index("ix_sessions_owner_created", "owner", text("created_at DESC"), text("id DESC")),
    Index("ix_sessions_agent", "agent_id", postgresql_where=text("deleted_at IS NULL")),
    # Sessions that no agent has yet; looked through whenever an agent changes.
    Index(
        "ix_sessions_waiting",
        "created_at",
        postgresql_where=text("deleted_at IS NULL AND phase = 'Pending'"),
    ),
    Index("ix_sessions_ended", "deleted_at", postgresql_where=text("deleted_at IS NOT NULL")),
)
