"""Whatever is wrong with what the user gave: one clear message, the right exit code, nothing left behind.

Every case runs the real command in a directory of its own. All of them run at the start, two at a time;
each test then looks at one result.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance import bad_circumstances, bad_documents, bad_jobs
from tests.acceptance.bad_cases import COMMON, Case

CELERIAC = Path(sys.executable).with_name("celeriac")
CASES = {case.name: case for case in (*bad_documents.CASES, *bad_jobs.CASES, *bad_circumstances.CASES)}
#: As many commands at once as the smallest machine that we test on has cores.
AT_ONCE = 2


def run(case: Case, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a case's command where its files are."""
    for name, text in {**COMMON, **case.files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("CELERIAC_")}
    return subprocess.run(
        [CELERIAC, *case.command.split(), *case.words.split()],
        cwd=directory,
        env={**clean, "CELERIAC_HOME": str(directory.parent / "home"), **case.env},
        input=case.stdin,
        capture_output=True,
        text=True,
        timeout=case.limit,
    )


@pytest.fixture(scope="module")
def results(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]]:
    """Every case that was chosen, with its directory and what becomes of its command."""
    chosen = [item.callspec.params["name"] for item in request.session.items if _is_case(item)]
    places = {name: tmp_path_factory.mktemp(name, numbered=False) for name in chosen}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: (place, pool.submit(run, CASES[name], place)) for name, place in places.items()}


def _is_case(item: pytest.Item) -> bool:
    return item.path == Path(__file__) and "name" in getattr(getattr(item, "callspec", None), "params", {})


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_gets_one_clear_message(
    name: str, results: dict[str, tuple[Path, Future[subprocess.CompletedProcess[str]]]]
) -> None:
    case = CASES[name]
    directory, future = results[name]
    done = future.result()
    assert done.returncode == case.code, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith("celeriac: error: "), done.stderr
    assert done.stderr.count("celeriac: error: ") == 1
    assert "Traceback" not in done.stderr
    for word in case.says:
        assert word in done.stderr, done.stderr
    outdir = directory / "results"
    assert not outdir.exists() or not list(outdir.iterdir())


def test_the_table_is_as_large_as_promised() -> None:
    assert len(CASES) == len(bad_documents.CASES) + len(bad_jobs.CASES) + len(bad_circumstances.CASES)
    assert len(CASES) >= 45
