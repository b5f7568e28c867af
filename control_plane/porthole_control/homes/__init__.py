"""Users' files: named volumes, each on one agent."""
