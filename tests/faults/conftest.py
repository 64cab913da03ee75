"""Fixtures of the fault suite: a site, the fault that is done to it, and the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.faults import servers
from tests.faults.report import Fault, table
from tests.faults.servers import Restartable
from tests.faults.site import Site, fresh_database, site

#: Seconds for a whole test: the bounds on hangs within are shorter.
LONGEST = 600
_FAULTS = pytest.StashKey[list[Fault]]()

MakeSite = Callable[..., Site]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what the random mix is told."""
    parser.addoption("--minutes", type=float, default=None, help="how long the random mix of faults lasts")
    parser.addoption("--seed", type=int, default=None, help="what the random faults follow from")


@pytest.hookimpl(tryfirst=True)  # before -m takes most of them away
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give tests more time than the other tiers have: faults take theirs. See that CI has one of each kind."""
    minutes = config.getoption("--minutes", None) or 10
    here = Path(__file__).parent
    own = [item for item in items if here in item.path.parents]
    for item in own:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST + 60 * minutes if "random" in item.name else LONGEST))
    if config.getoption("markexpr") == "ci" and (missing := _kinds(own) - _kinds(own, "ci")):
        raise pytest.UsageError(f"CI would test no fault of these kinds: {', '.join(sorted(missing))}")


def _kinds(items: list[pytest.Item], mark: str = "fault") -> set[str]:
    """Return the kinds of faults that tests with a mark are about."""
    return {
        str(fault.args[0])
        for item in items
        if item.get_closest_marker(mark) and (fault := item.get_closest_marker("fault"))
    }


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Iterator[Fault]:
    """The fault that the test is about, from its mark ``fault(kind, name)`` and its parameters."""
    mark = request.node.get_closest_marker("fault")
    parameters = getattr(request.node, "callspec", None)
    suffix = f" ({parameters.id})" if parameters else ""
    made = Fault(mark.args[0], mark.args[1] + suffix)
    request.config.stash.setdefault(_FAULTS, []).append(made)
    yield made
    report = request.node.stash.get(_REPORT, None)
    made.passed = report is not None and report.passed


_REPORT = pytest.StashKey[pytest.TestReport]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Keep how a test's own part went, for the table."""
    outcome = yield
    if call.when == "call":
        item.stash[_REPORT] = outcome.get_result()  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the table."""
    faults = config.stash.get(_FAULTS, [])
    if faults:
        terminalreporter.section("faults")
        for line in table(faults):
            terminalreporter.write_line(line)


@pytest.fixture
def make_site(
    tmp_path: Path, docker_engine: str, docker_images: dict[str, str], request: pytest.FixtureRequest
) -> Iterator[MakeSite]:
    """Make a site with workers of these names: on Redis and the session's PostgreSQL, unless others are given.

    ``broker`` is a server of one's own, ``journal`` a database's URL (empty: SQLite), ``docker`` the
    URL of another engine than the machine's.
    """
    with ExitStack() as stack:

        def make(
            *workers: str,
            broker: AbstractContextManager[Restartable] | None = None,
            journal: str | None = None,
            docker: str | None = None,
            **settings: str,
        ) -> Site:
            server = stack.enter_context(broker or servers.redis())
            url = fresh_database(request.getfixturevalue("postgresql_url")) if journal is None else journal
            place = tmp_path / f"site-{len(list(tmp_path.iterdir()))}"
            made = stack.enter_context(site(place, server, docker or docker_engine, journal=url, **settings))
            made.start(*workers)
            return made

        yield make
