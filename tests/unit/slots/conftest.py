"""What the tests of a host's slots are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import queues.slots
from celeriac.resources import Budget
from queues.slots import HostSlots
from tests.unit.slots.harness import BUDGET


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "slots"


@pytest.fixture
def make(directory: Path) -> Iterator[Callable[..., HostSlots]]:
    made = []

    def make(budget: Budget = BUDGET, **more: Any) -> HostSlots:
        made.append(HostSlots(directory, budget, **more))
        return made[-1]

    yield make
    for slots in made:
        slots.close()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for the dead each time that something looks whether it is its turn."""
    monkeypatch.setattr(queues.slots, "TEND", 0.0)
    monkeypatch.setattr(queues.slots, "POLL", 0.001)
