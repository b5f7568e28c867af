"""Migrations are tried on the same server as the integration tests."""

from tests.integration.conftest import migrated, postgres, test_database

__all__ = ["migrated", "postgres", "test_database"]
