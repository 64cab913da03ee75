"""A missing service is skipped with its reason at a desk, and fails in CI."""

from __future__ import annotations

import pytest

from tests.services.require import require


def test_there_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    require("", available=True)


def test_at_a_desk_the_test_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="redis-server is not on the PATH"):
        require("redis-server is not on the PATH", available=False)


def test_in_ci_the_test_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="redis-server is not on the PATH"):
        require("redis-server is not on the PATH", available=False)
