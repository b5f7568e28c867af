"""Tables that belong to no noun."""

from sqlalchemy import Column, ForeignKey, Integer, Table, Text

from porthole_control.db.metadata import NOW, Id, Json, Moment, metadata

instance = Table(
    "instance",
    metadata,
    # One row: which installation this database is of.
    Column("id", Id, primary_key=True),
    Column("created_at", Moment, nullable=False, server_default=NOW),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", Id, primary_key=True),
    # Where other replicas reach it to pass a stream on.
    Column("address", Text),
    # PEM; what it shows them, and the only one under which it is believed.
    Column("certificate", Text),
    Column("started_at", Moment, nullable=False, server_default=NOW),
    # A replica that has not been seen for a while holds no links and no streams.
    Column("seen_at", Moment, nullable=False, server_default=NOW),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    # A key is its user's: another's use of the same key is another key.
    Column("user_id", Id, ForeignKey("users.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    # Hash of what was asked: the same key with another question is a mistake of the caller.
    Column("fingerprint", Text, nullable=False),
    Column("status", Integer),
    Column("body", Json),
    Column("created_at", Moment, nullable=False, server_default=NOW, index=True),
)
