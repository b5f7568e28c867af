"""RDP servers, what they use, and what they use too much of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_MOMENT = sa.DateTime(timezone=True)


def _json() -> postgresql.JSONB:
    return postgresql.JSONB(none_as_null=True, astext_type=sa.Text())


def upgrade() -> None:
    op.create_table(
        "rdp_servers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("agent_id", sa.Uuid(), nullable=False),
        sa.Column("port", sa.Integer(), nullable=False),
        sa.Column("home", sa.Text(), nullable=False),
        sa.Column("configuration", _json(), nullable=False),
        sa.Column("resources", _json(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("last_started_at", _MOMENT, nullable=True),
        sa.Column("last_stopped_at", _MOMENT, nullable=True),
        sa.Column("created_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("updated_at", _MOMENT, server_default=_NOW, nullable=False),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.CheckConstraint("port BETWEEN 33890 AND 33999", name=op.f("ck_rdp_servers_port")),
        sa.ForeignKeyConstraint(["agent_id"], ["agents.id"], name=op.f("fk_rdp_servers_agent_id")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name=op.f("fk_rdp_servers_session_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rdp_servers")),
        sa.UniqueConstraint("agent_id", "port", name=op.f("uq_rdp_servers_agent_id_port")),
    )
    op.create_index(
        "ix_rdp_servers_owner_created",
        "rdp_servers",
        ["owner", sa.literal_column("created_at DESC"), sa.literal_column("id DESC")],
        unique=False,
    )
    op.create_index("ix_rdp_servers_session", "rdp_servers", ["session_id"], unique=False)
    op.create_table(
        "rdp_usage",
        sa.Column("server_id", sa.Uuid(), nullable=False),
        sa.Column("at", _MOMENT, nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("cpu_percent", sa.Float(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=False),
        sa.Column("disk_bytes", sa.BigInteger(), nullable=False),
        sa.Column("network_in", sa.BigInteger(), nullable=False),
        sa.Column("network_out", sa.BigInteger(), nullable=False),
        sa.Column("network_mbps", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["server_id"],
            ["rdp_servers.id"],
            name=op.f("fk_rdp_usage_server_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("server_id", "at", name=op.f("pk_rdp_usage")),
    )
    op.create_index("ix_rdp_usage_at", "rdp_usage", ["at"], unique=False)
    op.create_table(
        "rdp_alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("server_id", sa.Uuid(), nullable=False),
        sa.Column("resource_type", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("current_value", sa.Float(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("resolved_at", _MOMENT, nullable=True),
        sa.ForeignKeyConstraint(
            ["server_id"],
            ["rdp_servers.id"],
            name=op.f("fk_rdp_alerts_server_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rdp_alerts")),
    )
    op.create_index(
        "uq_rdp_alerts_open",
        "rdp_alerts",
        ["server_id", "resource_type"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index(
        "ix_rdp_alerts_server_created",
        "rdp_alerts",
        ["server_id", sa.literal_column("created_at DESC")],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("rdp_alerts")
    op.drop_table("rdp_usage")
    op.drop_table("rdp_servers")
