"""celeriac queues: limits, what waits and runs, hosts, warnings; check; advise."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.commands import Desk, desk
from tests.acceptance.workers import Site, until

QUEUES = """\
small: {cpus: 1, ram: 1024}
large: {cpus: 2, ram: 2048}
huge: {cpus: 1000, ram: 4096}
"""
LIMITS = {"gpus": 0, "priority": None, "max_runtime": None, "default": False}
#: A tool that waits for a file, with what it asks for.
TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
id: TITLE
requirements: {ResourceRequirement: NEEDS}
baseCommand: [sh, -c, 'until [ -e "$0" ]; do sleep 0.05; done']
inputs: {gate: {type: string, default: /, inputBinding: {}}}
outputs: {}
"""
DOWN = "redis://127.0.0.1:1/0"


def tool(title: str, needs: str) -> str:
    """Return a tool that waits for a file."""
    return TOOL.replace("TITLE", title).replace("NEEDS", needs)


@pytest.fixture(scope="module")
def cluster(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One worker for `small`, on a host of two CPUs and 4 GiB."""
    directory = tmp_path_factory.mktemp("queues")
    (directory / "queues.yaml").write_text(QUEUES)
    here = desk(
        directory,
        CELERIAC_BROKER_URL=redis_url.removesuffix("/0") + "/7",
        CELERIAC_QUEUES=str(directory / "queues.yaml"),
        CELERIAC_HOST_CPUS="2",
        CELERIAC_HOST_RAM="4096",
        CELERIAC_SLOTS_DIR=str(directory / "slots"),
    )
    site = Site(here)
    site.write(one=tool("one", "{coresMin: 1}"), two=tool("two", "{coresMin: 2}"))
    with site.worker("small", "-Q", "small"):
        until(lambda: here.json("queues")["hosts"], "the worker does not tell that it is there")
        yield site


def test_limits_depths_and_hosts(cluster: Site) -> None:
    data = cluster.desk.json("queues")
    assert data["file"] == str(cluster.desk.directory / "queues.yaml")
    assert data["queues"] == [
        {"name": "small", "cpus": 1.0, "ram": 1024, **LIMITS, "waiting": 0, "workers": 1, "running": 0},
        {"name": "large", "cpus": 2.0, "ram": 2048, **LIMITS, "waiting": 0, "workers": 0, "running": 0},
        {"name": "huge", "cpus": 1000.0, "ram": 4096, **LIMITS, "waiting": 0, "workers": 0, "running": 0},
    ]
    assert data["control"] == {"waiting": 0, "workers": 1}
    (host,) = data["hosts"]
    (worker,) = host["workers"]
    assert (host["cpus"], host["ram"], host["gpus"]) == (2.0, 4096, [])
    assert host["holds"] == {"small": 2, "large": 1, "huge": 0}
    assert worker["name"].startswith("small@") and worker["seen"].endswith("Z")
    assert (worker["slots"], worker["queues"]) == (2, {"small": 2})


def test_the_table_of_queues_and_the_table_of_hosts(cluster: Site) -> None:
    done = cluster.desk("queues")
    queues, _, hosts = done.stdout.partition("\n\n")
    assert ["small", "1", "1024", "MiB", "0", "0", "1"] in [line.split() for line in queues.splitlines()]
    assert "small 2, large 1" in hosts and "small@" in hosts and " ago" in hosts
    assert "no worker's host holds even one step of queue huge (1000 CPUs, 4096 MiB)" in done.stderr


def test_what_waits_without_a_worker_is_pointed_out(cluster: Site) -> None:
    run = cluster.submit("two.cwl")
    try:
        texts = until(
            lambda: [text for text in cluster.desk.json("queues")["warnings"] if "queue large" in text],
            "nothing waits in queue large",
        )
        assert texts == ["1 step waits in queue large, which no worker serves; start one: `celery worker -Q large`"]
        assert f"warning: {texts[0]}" in cluster.desk("queues").stderr
    finally:
        cluster.desk("cancel", run)


def test_what_runs_is_counted(cluster: Site) -> None:
    gate = cluster.desk.directory / "gate"
    run = cluster.submit("one.cwl", "--gate", str(gate))
    try:
        (host,) = until(
            lambda: [one for one in cluster.desk.json("queues")["hosts"] if one["running"]], "nothing runs"
        )
        assert host["running"] == {"small": 1}
        assert "small 1" in cluster.desk("queues").stdout
    finally:
        gate.touch()
    assert cluster.ended(run).state == "SUCCESS"


def test_without_a_broker(cluster: Site) -> None:
    done = cluster.desk("queues", "--json", CELERIAC_BROKER_URL=DOWN)
    assert {queue["waiting"] for queue in json.loads(done.stdout)["queues"]} == {None}
    assert len(json.loads(done.stdout)["hosts"]) == 1
    assert "warning: what waits is not known" in done.stderr and "127.0.0.1:1" in done.stderr


def test_without_a_journal(cluster: Site) -> None:
    down = "postgresql://me:secret@127.0.0.1:1/x"
    done = cluster.desk("queues", "--json", CELERIAC_JOURNAL_URL=down)
    data = json.loads(done.stdout)
    assert data["hosts"] is None and {queue["running"] for queue in data["queues"]} == {None}
    assert data["queues"][0]["workers"] == 1
    assert "warning: what runs, and on which hosts, is not known" in done.stderr and "secret" not in done.stderr
    assert "HOST" not in cluster.desk("queues", CELERIAC_JOURNAL_URL=down).stdout


# --- check ---------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    """A desk with queue files."""
    made = desk(tmp_path)
    (made.directory / "odd.yaml").write_text("fast: {cpus: 8, ram: 1024}\nfat: {cpus: 1, ram: 65536}\n")
    (made.directory / "bad.yaml").write_text("a: {cpus: 1, ram: 512}\n\nb: {cpus: -1, ram: 512}\n")
    return made


def test_check_says_how_queues_rank(here: Desk) -> None:
    text = here("queues", "check", "odd.yaml").stdout
    sentence = "fat (1 CPU, 65536 MiB) ranks below fast (8 CPUs, 1024 MiB): CPUs count before memory."
    assert sentence in text
    data = here.json("queues", "check", "odd.yaml")
    assert [queue["name"] for queue in data["queues"]] == ["fat", "fast"]
    assert len(data["ranking"]) == 1 and data["ranking"][0].startswith(sentence)


def test_check_names_the_line_of_a_mistake(here: Desk) -> None:
    done = here("queues", "check", "bad.yaml", code=1)
    assert done.stdout == "" and "bad.yaml:3: queue b: cpus must be greater than 0" in done.stderr
    assert "FILE" in here("queues", "check", code=1).stderr


# --- advise --------------------------------------------------------------------------------------


def test_advise_says_what_tools_used(cluster: Site) -> None:
    cluster.write(sums=tool("sums", "{coresMin: 1, ramMin: 1000}"))
    for _ in range(2):
        assert cluster.ended(cluster.submit("--no-reuse", "sums.cwl")).state == "SUCCESS"
    data = cluster.desk.json("queues", "advise", "sums")
    (found,) = data["tools"]
    assert (found["tool"], found["attempts"], found["out_of_memory"]) == ("sums", 2, 0)
    assert found["asked"] == {"cpus": {"min": 1.0, "max": 1.0}, "ram": {"min": 1000, "max": 1000}, "gpus": 0}
    assert found["queues"] == {"small": 2} and found["queue"] == "small"
    assert "seen 2 times only" in found["advice"]
    text = cluster.desk("queues", "advise", "--days", "1").stdout
    assert any(line.startswith("sums ") for line in text.splitlines())
    assert "sums: " in text and "20% to spare" in text


def test_advise_names_a_tool_that_is_none(cluster: Site) -> None:
    assert cluster.ended(cluster.submit("one.cwl")).state == "SUCCESS"
    assert "did you mean one?" in cluster.desk("queues", "advise", "onne", code=1).stderr
    assert "invalid number of days" in cluster.desk("queues", "advise", "--days", "-1", code=1).stderr


def test_advise_of_an_empty_journal(here: Desk) -> None:
    assert here("queues", "advise").stdout == "No tool has ended in the last 30 days.\n"
    assert here.json("queues", "advise")["tools"] == []
