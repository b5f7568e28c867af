"""Turns Session objects of a cluster into pods, and says in their status how it goes.

Each handler observes, decides, applies. Deciding is pure; whole manifests are made in
`desired`, which is pure too; `apply` is the only writer. It writes the status and the
children of Sessions, never their spec (except `desired`, for idle sessions, under a field
manager of its own).
"""
