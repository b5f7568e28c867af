"""Viewers' bytes: tickets, and where the two legs of a stream meet."""
