"""A worker that finds messages waiting when it starts: it takes them once it can, whatever the broker sends first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.commands import Desk
from tests.acceptance.workers import Site, echo

RUNS = 6


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url = str(request.getfixturevalue(f"{request.param}_url"))
    broker = url.removesuffix("/0") + "/11" if request.param == "redis" else url
    made = Site(Desk(tmp_path_factory.mktemp(f"waiting-{request.param}"), {"CELERIAC_BROKER_URL": broker}))
    made.write(echo=echo())
    yield made
    made.show_logs()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_was_submitted_before_is_done_after(site: Site, pool: str) -> None:
    runs = [site.submit("echo.cwl", "--message", str(number)) for number in range(RUNS)]
    with site.worker("late", "-Q", "default", "-P", pool):
        assert [site.ended(run).state for run in runs] == ["SUCCESS"] * RUNS
