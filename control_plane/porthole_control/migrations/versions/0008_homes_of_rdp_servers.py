"""An RDP server keeps its home, whatever its owner calls it."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rdp_servers", sa.Column("home_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_rdp_servers_home_id"),
        "rdp_servers",
        "homes",
        ["home_id"],
        ["id"],
        ondelete="SET NULL",
    )
    # Known of those that were started; the others make theirs when they are.
    op.execute(
        """
        UPDATE rdp_servers SET home_id = sessions.home_id
        FROM sessions WHERE sessions.id = rdp_servers.session_id
        """
    )


def downgrade() -> None:
    op.drop_column("rdp_servers", "home_id")
