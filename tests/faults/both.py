"""Tools in containers and as plain processes: most faults are done to both."""

from __future__ import annotations

import pytest


def both(ci: str = "") -> pytest.MarkDecorator:
    """Have a test run with ``containers`` True and False; ``ci`` names the one that CI runs too."""
    values = [
        pytest.param(containers, id=name, marks=pytest.mark.ci if name == ci else ())
        for containers, name in ((True, "containers"), (False, "processes"))
    ]
    return pytest.mark.parametrize("containers", values)
