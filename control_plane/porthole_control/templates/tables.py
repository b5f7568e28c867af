"""Tables of templates."""

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from porthole_control.db.metadata import NOW, Id, Json, Moment, metadata

template_contents = Table(
    "template_contents",
    metadata,
    # SHA-256 of the canonical JSON. Content never changes under its digest, so whoever
    # pins a digest (a session, an agent's copy) can always be given what it means.
    Column("digest", Text, primary_key=True),
    Column("spec", Json, nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
)

templates = Table(
    "templates",
    metadata,
    Column("name", Text, primary_key=True),
    # Revisions go on counting when a deleted template is made again.
    Column("latest_revision", Integer, nullable=False),
    Column("created_by", Id, ForeignKey("users.id"), nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("updated_at", Moment, nullable=False, server_default=NOW),
    Column("deleted_at", Moment),
)

template_revisions = Table(
    "template_revisions",
    metadata,
    Column("name", Text, ForeignKey("templates.name"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("digest", Text, ForeignKey("template_contents.digest"), nullable=False),
    Column("created_by", Id, ForeignKey("users.id"), nullable=False),
    Column("created_at", Moment, nullable=False, server_default=NOW),
)
