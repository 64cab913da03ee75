"""Where the CWL v1.2 conformance suite lies."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BESIDE = ROOT.parent / "shared" / "conformance" / "v1.2"
_TESTS = "conformance_tests.yaml"


class NoSuite(Exception):
    """The suite is not where it was looked for; the message says how to get it."""


def find() -> Path:
    """The suite's list of tests: below ``CONFORMANCE_SUITE``, else below a folder beside the checkout.

    Raises :class:`NoSuite`.
    """
    named = os.environ.get("CONFORMANCE_SUITE")
    folder = Path(named) if named else _BESIDE
    tests = folder.resolve() / _TESTS
    if tests.is_file():
        return tests
    raise NoSuite(
        f"The CWL v1.2 conformance suite is not in {folder}: there is no {_TESTS}.\n"
        "It comes with the repository common-workflow-language/cwl-v1.2 on GitHub:\n"
        "    git clone https://github.com/common-workflow-language/cwl-v1.2 ../cwl-v1.2\n"
        "    CONFORMANCE_SUITE=../cwl-v1.2 make conformance"
    )
