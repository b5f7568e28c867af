"""The table of streams: the right to open one, where its legs meet, and what became of it."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import BYTEA

from porthole_control.db.metadata import NOW, Id, Moment, Number, metadata

streams = Table(
    "streams",
    metadata,
    Column("id", Id, primary_key=True),
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("owner", Text, nullable=False),
    # Who looks: revoked users and tokens end their streams.
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    # NULL: a program that came in on the session's own port, with that one's password; its agent
    # has told of it, and the bytes do not pass here.
    Column("token_id", Id, ForeignKey("tokens.id")),
    Column("channel", Text, nullable=False),
    # NULL: what is usual on the channel.
    Column("protocol", Text),
    Column("mode", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="ticket"),
    # -- the viewer's leg: opened once by whoever has the ticket; NULL: we ourselves look
    Column("ticket_hash", BYTEA),
    Column("ticket_expires_at", Moment),
    # Which web origin asked for the ticket; NULL: no browser.
    Column("origin", Text),
    # Another one of theirs that is ended for this one; a line that broke leaves it behind.
    Column("replaces", Id),
    # -- the agent's leg: dialled back once by the agent that was asked
    Column("agent_id", Id, ForeignKey("agents.id")),
    Column("agent_epoch", Number),
    Column("secret_hash", BYTEA),
    Column("secret_expires_at", Moment),
    # -- where they meet: the replica that has the viewer
    Column("replica_id", Id),
    # -- what became of it
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("opened_at", Moment),
    Column("closed_at", Moment),
    Column("bytes_to_viewer", Number, nullable=False, server_default=text("0")),
    Column("bytes_from_viewer", Number, nullable=False, server_default=text("0")),
    # A word for programs, a sentence for people.
    Column("closed_reason", Text),
    Column("closed_message", Text),
    CheckConstraint("mode IN ('control', 'view')", name="mode"),
    CheckConstraint("state IN ('ticket', 'waiting', 'open', 'closed')", name="state"),
    # Without a hash there would be nothing that opens it, and nothing that ends it.
    CheckConstraint("state <> 'ticket' OR ticket_hash IS NOT NULL", name="ticket"),
    # Nobody waits for what an agent let in by itself.
    CheckConstraint("token_id IS NOT NULL OR state IN ('open', 'closed')", name="token"),
    # A ticket is found by its hash alone; two of the same would open each other's stream.
    Index("uq_streams_ticket_hash", "ticket_hash", unique=True),
    Index("uq_streams_secret_hash", "secret_hash", unique=True),
    Index("ix_streams_session", "session_id", "created_at"),
    Index(
        "ix_streams_port",
        "session_id",
        "created_at",
        postgresql_where=text("token_id IS NULL"),
    ),
    Index(
        "ix_streams_open",
        "agent_id",
        postgresql_where=text("state IN ('waiting', 'open')"),
    ),
)
