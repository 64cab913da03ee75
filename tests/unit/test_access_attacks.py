"""What runs from outside try to reach, and what they get: refused at the submit, or by the worker that would do it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.access_attacks import ALL, JOB_PATHS, Attack, filled, link
from tests.unit.outside_site import CANARY, site


def deep() -> Any:
    value: Any = 1
    for _ in range(5000):
        value = [value]
    return {"x": value}


@pytest.mark.parametrize("attack", ALL, ids=lambda attack: attack.name)
def test_what_is_tried_from_outside_gets_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, attack: Attack
) -> None:
    with site(tmp_path, caplog, **(attack.access or {})) as here:
        (here.data / "ok").write_text("fine")
        if attack.prepare:
            attack.prepare(here)
        if attack.play:
            here.world.play = attack.play(here)
        options = filled(dict(attack.options or {}), here)
        wanted = deep() if attack.job == "deep" else filled(attack.job, here)
        if attack.document == "outside":
            where, error = here.attempt(f"file://{here.canary}")
        elif attack.document == "link":
            link("y.cwl", "{canary}")(here)
            where, error = here.attempt(f"file://{here.data}/y.cwl")
        else:
            where, error = here.attempt(filled(attack.document, here), wanted, **options)
        assert (where, type(error).__name__ if attack.kind else "") == (attack.where, attack.kind), error
        assert attack.says in str(error)
        assert CANARY not in str(error)
        assert CANARY not in here.told()
        assert CANARY not in repr(here.outputs())


def test_there_are_enough() -> None:
    assert len(ALL) >= 40 and len({attack.name for attack in ALL}) == len(ALL)


@pytest.mark.parametrize("attack", [a for a in JOB_PATHS if "{canary}" in repr(a.job)], ids=lambda attack: attack.name)
def test_a_refusal_is_the_same_whether_there_is_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, attack: Attack
) -> None:
    with site(tmp_path, caplog) as here:
        (here.data / "ok").write_text("fine")
        if attack.prepare:
            attack.prepare(here)
        there = here.attempt(filled(attack.document, here), filled(attack.job, here))
        here.canary.unlink()
        gone = here.attempt(filled(attack.document, here), filled(attack.job, here))
        assert (there[0], str(there[1])) == (gone[0], str(gone[1]))
