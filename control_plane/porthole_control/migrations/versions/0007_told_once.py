"""What a runtime tells is known by the moment that it names, whatever clock that is on."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("session_events", sa.Column("told_at", sa.DateTime(timezone=True)))
    # What was written twice keeps its second line, which nothing is compared with any more.
    op.execute(
        """
        UPDATE session_events SET told_at = at WHERE id IN (
            SELECT min(id) FROM session_events WHERE kind = 'Told' GROUP BY session_id, reason, at
        )
        """
    )
    op.create_index(
        "ix_session_events_told",
        "session_events",
        ["session_id", "reason", "told_at"],
        unique=True,
        postgresql_where=sa.text("told_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_session_events_told", table_name="session_events")
    op.drop_column("session_events", "told_at")
