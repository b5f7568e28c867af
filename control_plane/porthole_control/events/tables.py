"""Tables of events."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Table, Text, text

from porthole_control.db.metadata import NOW, Id, Moment, Xid8, metadata

session_events = Table(
    "session_events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("owner", Text, nullable=False),
    Column("at", Moment, nullable=False, server_default=NOW),
    # A word for programs (`Created`, `PhaseChanged`, ...), a sentence for people.
    Column("kind", Text, nullable=False),
    Column("phase", Text),
    Column("reason", Text, nullable=False, server_default=""),
    Column("message", Text, nullable=False),
    # The moment that a runtime named, on its own clock; NULL: none has told it.
    Column("told_at", Moment),
    Index("ix_session_events_session_id", "session_id", "id"),
    # A runtime tells what happened again and again, in case that nobody has heard.
    Index(
        "ix_session_events_told",
        *("session_id", "reason", "told_at"),
        unique=True,
        postgresql_where=text("told_at IS NOT NULL"),
    ),
)

feed = Table(
    "feed",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    # Serial numbers skip rows that commit late. Read in the order (xid, id) and only below
    # pg_snapshot_xmin, no row can appear behind a reader's back.
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    # Whose it is; NULL: everybody may know.
    Column("owner", Text),
    # What has changed (`session`, `agent`, ...) and which one; what it is now, the reader
    # looks up when it tells, so many changes in a row cost one look.
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", Moment, nullable=False, server_default=NOW),
    Index("ix_feed_xid", "xid", "id"),
    Index("ix_feed_at", "at"),
)
