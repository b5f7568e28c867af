"""A token that was good for everything stays so: programs have rights of their own now."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_OLD = "ARRAY['read', 'sessions', 'connect', 'templates', 'agents', 'tokens']"
_NEW = "ARRAY['session:control', 'session:exec', 'session:files']"


def upgrade() -> None:
    for table in ("tokens", "sign_in_links"):
        op.execute(f"UPDATE {table} SET scopes = scopes || {_NEW} WHERE scopes @> {_OLD}")  # noqa: S608 - names of ours


def downgrade() -> None:
    for table in ("tokens", "sign_in_links"):
        op.execute(
            f"UPDATE {table} SET scopes = ARRAY(SELECT one FROM unnest(scopes) AS one"  # noqa: S608 - names of ours
            f" WHERE one <> ALL({_NEW}))"
        )
