"""Desktops: what they should be, what they are, and how the two are brought together."""
