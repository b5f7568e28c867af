"""Postgres: connections, transactions, the doorbell, and a database of our own if none is at hand.

SQL stands in the repositories of the nouns; nothing in here knows what a session is.
"""
