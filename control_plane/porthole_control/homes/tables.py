"""The table of homes."""

from sqlalchemy import Column, ForeignKey, Index, Table, Text, text

from porthole_control.db.metadata import NOW, Id, Moment, Number, metadata

homes = Table(
    "homes",
    metadata,
    # The volume's name is made of it, so a home can be renamed without touching the volume.
    Column("id", Id, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    # Where the files are; NULL until a first session is given to an agent.
    Column("agent_id", Id, ForeignKey("agents.id")),
    Column("size_bytes", Number),
    Column("used_bytes", Number),
    # Who holds it, as the place where the data is has reported it; a mirror, not a lock.
    Column("holder", Id),
    Column("created_at", Moment, nullable=False, server_default=NOW),
    Column("updated_at", Moment, nullable=False, server_default=NOW),
    # Set when its deletion is ordered, and when the agent has done it; sessions that ended
    # still name it, so the row stays.
    Column("deleted_at", Moment),
    Column("gone_at", Moment),
    # The name is what a user asks for it by, so an owner has it once among living homes.
    Index(
        "uq_homes_owner_name",
        "owner",
        "name",
        unique=True,
        postgresql_where=text("deleted_at IS NULL"),
    ),
)
