"""Beside and inside one desktop: the gate that lets viewers in, the supervisor that makes it."""
