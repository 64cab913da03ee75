"""Notices in a real PostgreSQL: the same tests as on SQLite."""

from __future__ import annotations

import secrets

import pytest

from tests.integration.cluster import new_database
from tests.unit.test_journal_notices import NoticesContract


class TestPostgresql(NoticesContract):
    @pytest.fixture
    def url(self, postgresql_url: str) -> str:
        return new_database(postgresql_url, f"notices_{secrets.token_hex(4)}")
