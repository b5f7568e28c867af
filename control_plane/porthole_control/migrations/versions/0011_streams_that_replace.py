"""A stream may take the place of another one of the same viewer."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("streams", sa.Column("replaces", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("streams", "replaces")
