"""Real workers for `default` and `advanced`, real containers: the right queue, the right limits, the ladder."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from celeriac.states import AttemptState, Outcome
from tests.acceptance.commands import Desk
from tests.acceptance.engine_limits import Limits, Sight, watching
from tests.acceptance.workers import Site

#: A tool in a container that says what it was told it has, and lives long enough to be looked at.
TELL = """\
cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: alpine}
  InlineJavascriptRequirement: {}
  NEEDS
baseCommand: [sh, -c, 'sleep 1.5; echo "$0 $1"']
arguments: [$(runtime.cores), $(runtime.ram)]
inputs: {file: {type: 'File?'}, after: {type: 'Any?'}}
stdout: out.txt
outputs:
  told: {type: string, outputBinding: {glob: out.txt, loadContents: true, outputEval: "$(self[0].contents.trim())"}}
"""
SIZES = """\
cwlVersion: v1.2
class: Workflow
$namespaces: {celeriac: "urn:celeriac:"}
inputs: {files: "File[]"}
outputs:
  told:
    type: string[]
    linkMerge: merge_flattened
    outputSource: [silent/told, small/told, wide/told, roomy/told, range/told, chosen/told]
  sized: {type: "string[]", outputSource: sized/told}
requirements:
  MultipleInputFeatureRequirement: {}
  ScatterFeatureRequirement: {}
steps:
  silent: {run: silent.cwl, in: {}, out: [told]}
  small: {run: small.cwl, in: {}, out: [told]}
  wide: {run: wide.cwl, in: {}, out: [told]}
  roomy: {run: silent.cwl, in: {}, out: [told], requirements: {ResourceRequirement: {ramMin: 1500}}}
  range: {run: range.cwl, in: {}, out: [told]}
  chosen: {run: small.cwl, in: {}, out: [told], hints: {celeriac:queue: {queue: advanced}}}
  sized: {run: sized.cwl, scatter: file, in: {file: files}, out: [told]}
"""
#: Allocates so many MiB, and touches all of them.
HUNGRY = """\
cwlVersion: v1.2
class: CommandLineTool
requirements: {DockerRequirement: {dockerPull: alpine}}
hints: {ResourceRequirement: {coresMin: 1, ramMin: 512}}
baseCommand: [dd, if=/dev/zero, of=/dev/null, count=1]
arguments: [{prefix: "bs=", separate: false, valueFrom: "$(inputs.mib)M"}]
inputs: {mib: int}
outputs: {}
"""
HUNGRY_ITEMS = """\
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {mib: "int[]"}
outputs: {}
steps: {eat: {run: hungry.cwl, scatter: mib, in: {mib: mib}, out: []}}
"""


#: What no broker has a part in: on RabbitMQ the steps of the last test climb too.
ON_ONE = pytest.mark.parametrize("site", ["redis"], indirect=True, scope="module")


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def site(
    request: pytest.FixtureRequest,
    docker_engine: str,
    docker_images: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    url = str(request.getfixturevalue(f"{request.param}_url"))
    broker = url.removesuffix("/0") + "/9" if request.param == "redis" else url
    settings = {
        "BROKER_URL": broker, "DOCKER_HOST": docker_engine,
        "LEASE": "6", "HEARTBEAT": "1", "SCAN_INTERVAL": "1", "CANCEL_POLL": "0.5",
    }  # fmt: skip
    directory = tmp_path_factory.mktemp(f"limits-{request.param}")
    made = Site(Desk(directory, {f"CELERIAC_{key}": value for key, value in settings.items()}))
    made.write(
        sizes=SIZES,
        hungry=HUNGRY,
        items=HUNGRY_ITEMS,
        silent=TELL.replace("NEEDS", ""),
        small=TELL.replace("NEEDS", "ResourceRequirement: {coresMin: 1, ramMin: 300}"),
        wide=TELL.replace("NEEDS", "ResourceRequirement: {coresMin: 2}"),
        range=TELL.replace("NEEDS", "ResourceRequirement: {coresMin: 1, coresMax: 4, ramMin: 100, ramMax: 700}"),
        sized=TELL.replace("NEEDS", "ResourceRequirement: {ramMin: $(512 * Math.ceil(inputs.file.size / 1048576))}"),
    )
    for mib in (1, 3):
        (directory / f"{mib}.dat").write_bytes(b"x" * (mib * 2**20))
    with made.worker("default", "-Q", "default"), made.worker("advanced", "-Q", "advanced"):
        yield made


@pytest.fixture(autouse=True)
def _logs(site: Site) -> Iterator[None]:
    yield
    site.show_logs()


@pytest.fixture
def sight(site: Site, docker_engine: str) -> Iterator[Sight]:
    """Watch the containers; whatever the test is about, the host is never oversubscribed."""
    with watching(docker_engine, site.desk.home) as seen:
        yield seen
    assert seen.looks
    assert seen.most_cpus <= (os.cpu_count() or 1) + 1e-9
    assert seen.most_memory <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


def _run(site: Site, document: str, code: int = 0, **job: Any) -> tuple[str, str, str]:
    """Run a document; returns the run, what it printed and what it complained of."""
    (site.desk.directory / "job.json").write_text(json.dumps(job))
    done = site.desk("run", "--quiet", document, "job.json", code=code)
    return site.newest(), done.stdout, done.stderr


def test_each_step_has_the_queue_and_the_limits_that_its_ask_means(site: Site, sight: Sight) -> None:
    files = [{"class": "File", "location": f"{mib}.dat"} for mib in (1, 3)]
    run, printed, _ = _run(site, "sizes.cwl", files=files)
    cpus = float(os.cpu_count() or 1)
    expected = {
        # step: queue, CPUs, MiB. What the document leaves out is the queue's limit.
        "silent": ("default", 1, 1024),
        "small": ("default", 1, 300),
        "wide": ("advanced", 2, 2048),
        "roomy": ("advanced", 2, 1500),
        "range": ("default", 1, 700),
        "chosen": ("advanced", 1, 300),
        "sized[0]": ("default", 1, 512),
        "sized[1]": ("advanced", 2, 1536),
    }
    made = {a.path: a for a in site.attempts(run)}
    assert {path: a.queue for path, a in made.items()} == {path: queue for path, (queue, _, _) in expected.items()}
    for path, (_, cores, ram) in expected.items():
        assert made[path].granted == {"cpus": cores, "ram": ram, "gpus": 0}, path
        assert sight.of(path) == {Limits(min(cores, cpus), ram, 0)}, path
    outputs = json.loads(printed)
    names = ["silent", "small", "wide", "roomy", "range", "chosen"]
    assert outputs["told"] == [f"{expected[name][1]} {expected[name][2]}" for name in names]
    assert outputs["sized"] == ["1 512", "2 1536"]


@ON_ONE
def test_a_step_without_memory_climbs_to_the_next_queue(site: Site, sight: Sight) -> None:
    run, _, _ = _run(site, "hungry.cwl", mib=1536)
    tries = [(a.number, a.queue, a.granted["ram"], a.outcome, a.state) for a in site.attempts(run)]
    assert tries == [
        (1, "default", 512, Outcome.OUT_OF_MEMORY, AttemptState.SETTLED),
        (2, "advanced", 2048, Outcome.SUCCESS, AttemptState.SETTLED),
    ]
    assert 512 < site.attempts(run)[1].peak_memory <= 2048, "what it used is kept, as far as it was seen"


@ON_ONE
def test_a_step_that_no_queue_has_the_memory_for_ends_with_its_name(site: Site, sight: Sight) -> None:
    run, _, said = _run(site, "hungry.cwl", code=1, mib=3072)
    tries = [(a.number, a.queue, a.granted["ram"], a.outcome) for a in site.attempts(run)]
    assert tries == [(1, "default", 512, Outcome.OUT_OF_MEMORY), (2, "advanced", 2048, Outcome.OUT_OF_MEMORY)]
    assert "hungry.cwl" in said and "2048 MiB" in said and "memory" in said
    assert site.run(run).error["type"] == "OutOfMemory"


def test_many_at_once_never_oversubscribe_the_host(site: Site, sight: Sight) -> None:
    run, _, _ = _run(site, "items.cwl", mib=[100, 1300, 100, 1300, 100, 100, 1300])
    counts = {path: len([a for a in site.attempts(run) if a.path == path]) for path in site.states(run)}
    assert counts == {f"eat[{number}]": 2 if number in (1, 3, 6) else 1 for number in range(7)}
    assert set(site.states(run).values()) == {"SUCCESS"}
