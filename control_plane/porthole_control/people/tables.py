"""Tables of people."""

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, BYTEA

from porthole_control.db.metadata import NOW, Id, Moment, metadata

users = Table(
    "users",
    metadata,
    Column("id", Id, primary_key=True),
    # Stands as `owner` in everything that is theirs, so it never changes.
    Column("name", Text, nullable=False, unique=True),
    Column("is_admin", Boolean, nullable=False, server_default=text("false")),
    # Who they are to a cluster's API server; mapped explicitly, never guessed from the name.
    Column("kubernetes_username", Text, unique=True),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("disabled_at", Moment),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    # `token`: sent as a bearer; `cookie`: a signed-in browser.
    Column("kind", Text, nullable=False),
    # SHA-256 of 256 random bits: nothing slower is needed, there is nothing to guess.
    Column("hash", BYTEA, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("expires_at", Moment),
    # To the minute; written in batches, so that reading costs no write.
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    CheckConstraint("kind IN ('token', 'cookie')", name="kind"),
    Index("ix_tokens_user_id", "user_id", "created_at"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("id", Id, primary_key=True),
    Column("user_id", Id, ForeignKey("users.id"), nullable=False),
    Column("hash", BYTEA, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("expires_at", Moment, nullable=False),
    # What the browser may do: no more than the token that made the link.
    Column("scopes", ARRAY(Text), nullable=False),
    # Set once: whoever sets it signs in, everybody after is refused.
    Column("used_at", Moment),
)
