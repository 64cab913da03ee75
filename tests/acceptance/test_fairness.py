"""A small run that is submitted after a large one comes through: on Redis, and on RabbitMQ, which knows no lanes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.acceptance.commands import Desk
from tests.acceptance.workers import Site, until

ITEMS = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {numbers: "int[]"}
outputs: {}
steps:
  nap:
    scatter: number
    in: {number: numbers}
    out: []
    run:
      class: CommandLineTool
      baseCommand: [sleep, "0.2"]
      inputs: {number: int}
      outputs: {}
"""
LARGE, SMALL = 10_000, 3


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url = str(request.getfixturevalue(f"{request.param}_url"))
    broker = url.removesuffix("/0") + "/10" if request.param == "redis" else url
    directory = tmp_path_factory.mktemp(f"fair-{request.param}")
    made = Site(Desk(directory, {"CELERIAC_BROKER_URL": broker, "CELERIAC_SCAN_INTERVAL": "2"}))
    made.write(items=ITEMS)
    for name, number in (("large", LARGE), ("small", SMALL)):
        (directory / f"{name}.json").write_text(json.dumps({"numbers": list(range(number))}))
    with made.worker("default", "-Q", "default"):
        yield made
    made.show_logs()


def _done(site: Site, run: str) -> int:
    return sum(a.state == "SETTLED" for a in site.attempts(run))


def test_a_run_of_ten_thousand_does_not_starve_a_run_of_three(site: Site) -> None:
    large = site.submit("items.cwl", "large.json")
    until(lambda: _done(site, large) >= 50, "the large run does not come into its stride")
    before = _done(site, large)
    small = site.submit("items.cwl", "small.json")
    assert site.ended(small).state == "SUCCESS"
    overtaken = _done(site, large) - before
    assert overtaken < 150, f"{overtaken} items of the large run went before the small run's {SMALL}"
    assert site.run(large).state == "RUNNING"
    site.desk("cancel", large)
    assert site.ended(large).state == "CANCELED"
