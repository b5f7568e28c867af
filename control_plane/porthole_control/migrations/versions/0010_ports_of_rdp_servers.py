"""An RDP server's port is listened on where it runs, if it has a password for that."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rdp_servers", sa.Column("password", sa.Text(), nullable=True))
    op.create_check_constraint("password", "rdp_servers", "password ~ '^[0-9a-f]{64}$'")
    op.add_column("sessions", sa.Column("exposed", postgresql.JSONB(none_as_null=True)))
    op.alter_column("streams", "token_id", nullable=True)
    op.create_check_constraint(
        "token", "streams", "token_id IS NOT NULL OR state IN ('open', 'closed')"
    )
    op.create_index(
        "ix_streams_port",
        "streams",
        ["session_id", "created_at"],
        postgresql_where=sa.text("token_id IS NULL"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM streams WHERE token_id IS NULL")
    op.drop_index("ix_streams_port", table_name="streams")
    op.drop_constraint("ck_streams_token", "streams")
    op.alter_column("streams", "token_id", nullable=False)
    op.drop_column("sessions", "exposed")
    op.drop_constraint("ck_rdp_servers_password", "rdp_servers")
    op.drop_column("rdp_servers", "password")
