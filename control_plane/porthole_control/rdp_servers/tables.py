"""Tables of RDP servers."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from porthole_control.db.metadata import NOW, Id, Json, Moment, Number, metadata

rdp_servers = Table(
    "rdp_servers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    # Where its home is, and whose port it has; a server never moves.
    Column("agent_id", Id, ForeignKey("agents.id"), nullable=False),
    Column("port", Integer, nullable=False),
    # SHA-256 (lower hex) of what RDP programs show there; NULL: nobody listens on the port.
    Column("password", Text),
    # The home that its sessions have, once it was started; and what the next one is called, if
    # there is none yet, or its owner has deleted it.
    Column("home_id", Id, ForeignKey("homes.id", ondelete="SET NULL")),
    Column("home", Text, nullable=False),
    Column("configuration", Json, nullable=False),
    Column("resources", Json, nullable=False),
    # What it was last started as; forgotten with the session's row.
    Column("session_id", Id, ForeignKey("sessions.id", ondelete="SET NULL")),
    Column("last_started_at", Moment),
    Column("last_stopped_at", Moment),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("updated_at", Moment, nullable=False, server_default=NOW),
    # Rises with every change; the ETag.
    Column("version", Number, nullable=False, server_default=text("1")),
    # Two servers of one machine would answer for each other.
    UniqueConstraint("agent_id", "port"),
    CheckConstraint("port BETWEEN 33890 AND 33999", name="port"),
    CheckConstraint("password ~ '^[0-9a-f]{64}$'", name="password"),
    Index("ix_rdp_servers_owner_created", "owner", text("created_at DESC"), text("id DESC")),
    Index("ix_rdp_servers_session", "session_id"),
)

rdp_usage = Table(
    "rdp_usage",
    metadata,
    Column("server_id", Id, ForeignKey("rdp_servers.id", ondelete="CASCADE"), nullable=False),
    Column("at", Moment, nullable=False),
    # Amounts count from the start of one session; those of two are not compared.
    Column("session_id", Id, nullable=False),
    Column("cpu_seconds", Float, nullable=False),
    Column("cpu_percent", Float, nullable=False),
    Column("memory_bytes", Number, nullable=False),
    Column("disk_bytes", Number, nullable=False),
    Column("network_in", Number, nullable=False),
    Column("network_out", Number, nullable=False),
    # Of the network, since the sample before.
    Column("network_mbps", Float, nullable=False),
    PrimaryKeyConstraint("server_id", "at"),
    Index("ix_rdp_usage_at", "at"),
)

rdp_alerts = Table(
    "rdp_alerts",
    metadata,
    Column("id", Id, primary_key=True),
    Column("server_id", Id, ForeignKey("rdp_servers.id", ondelete="CASCADE"), nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("threshold", Float, nullable=False),
    Column("current_value", Float, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("resolved_at", Moment),
    # What goes on being too much is one alert.
    Index(
        "uq_rdp_alerts_open",
        "server_id",
        "resource_type",
        unique=True,
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index("ix_rdp_alerts_server_created", "server_id", text("created_at DESC")),
)
