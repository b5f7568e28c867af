"""All tables of the program: what the migrations, run in order, must amount to."""

from porthole_control.agents import tables as agents
from porthole_control.commands import tables as commands
from porthole_control.db import tables as shared
from porthole_control.db.metadata import metadata
from porthole_control.events import tables as events
from porthole_control.homes import tables as homes
from porthole_control.people import tables as people
from porthole_control.rdp_servers import tables as rdp_servers
from porthole_control.sessions import tables as sessions
from porthole_control.streams import tables as streams
from porthole_control.templates import tables as templates

__all__ = [
    "agents",
    "commands",
    "events",
    "homes",
    "metadata",
    "people",
    "rdp_servers",
    "sessions",
    "shared",
    "streams",
    "templates",
]
