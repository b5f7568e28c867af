"""A stream may be spoken in another way than is usual on its channel."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("streams", sa.Column("protocol", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("streams", "protocol")
