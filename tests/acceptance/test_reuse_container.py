"""`celeriac:reuse-container` and --reuse-container: items of one step in one container, and nothing left of it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from tests.acceptance.commands import HANG, Desk
from tests.acceptance.test_ending_workers import broker
from tests.acceptance.workers import Site, until

#: Two scattered steps; each item tells which container it runs in, waits for a file on demand, may do more.
DOCUMENT = """\
cwlVersion: v1.2
class: Workflow
$namespaces: {celeriac: "urn:celeriac:"}
requirements: {ScatterFeatureRequirement: {}}
inputs:
  files: File[]
  script: {type: string, default: "true"}
outputs:
  first: {type: "string[]", outputSource: one/which}
  second: {type: "string[]", outputSource: two/which}
  texts: {type: "File[]", outputSource: one/text}
steps:
  one: {run: "#tool", scatter: file, in: {file: files, script: script}, out: [which, text]}
  two: {run: "#tool", scatter: file, in: {file: one/text, script: script}, out: [which, text]}
"""
TOOL = """\
class: CommandLineTool
id: tool
hints: {HINTS}
requirements:
  InlineJavascriptRequirement: {}
  DockerRequirement: {dockerPull: alpine}
  ResourceRequirement: {coresMin: 1, ramMin: 64, ramMax: 64}
baseCommand: [sh, -c, 'cat /etc/hostname; ls -a; cat "$0" > text; echo "$PWD" >> text; eval "$1"']
inputs:
  file: {type: File, inputBinding: {position: 1}}
  script: {type: string, inputBinding: {position: 2}}
stdout: which
outputs:
  which: {type: string, outputBinding: {glob: which, loadContents: true, outputEval: "$(self[0].contents)"}}
  text: {type: File, outputBinding: {glob: text}}
"""
ITEMS = 6


def document(hints: str = "") -> str:
    lines = DOCUMENT.splitlines()
    head = "\n".join([lines[0], lines[2], "$graph:"])
    main = "\n".join("  " + line for line in ["id: main", *(line for n, line in enumerate(lines) if n not in (0, 2))])
    tool = "\n".join("  " + line for line in TOOL.replace("HINTS", hints).splitlines())
    return f"{head}\n- {main.strip()}\n- {tool.strip()}\n"


SHARE = "celeriac:reuse-container: {}"


@pytest.fixture
def desk(docker_engine: str, docker_images: dict[str, str], tmp_path: Path) -> Desk:
    made = Desk(tmp_path, {"DOCKER_HOST": docker_engine, "CELERIAC_DOCKER_HOST": docker_engine})
    for number in range(ITEMS):
        (tmp_path / f"{number}.txt").write_text(f"{number}\n")
    (tmp_path / "wf.cwl").write_text(document(SHARE))
    (tmp_path / "plain.cwl").write_text(document())
    return made


def job(desk: Desk, script: str = "true", items: int = ITEMS) -> str:
    files = [{"class": "File", "path": f"{number % ITEMS}.txt"} for number in range(items)]
    (desk.directory / "job.json").write_text(json.dumps({"files": files, "script": script}))
    return "job.json"


@pytest.fixture
def engine(docker_engine: str) -> Iterator[docker.APIClient]:
    with closing(docker.APIClient(base_url=docker_engine)) as client:
        yield client


def containers(engine: docker.APIClient, directory: Path) -> list[dict[str, Any]]:
    """Return the containers that runs below a directory have."""
    found = engine.containers(all=True, filters={"label": "celeriac.run"})
    return [one for one in found if any(str(directory) in mount.get("Source", "") for mount in one["Mounts"])]


def which(said: list[str]) -> set[str]:
    """Return the containers of items, whose working directories had nothing but their own file."""
    for words in said:
        assert words.split()[1:] == [".", "..", "which"], words
    return {words.split()[0] for words in said}


def outputs(desk: Desk, *words: str) -> tuple[set[str], set[str]]:
    made = json.loads(desk("run", "--quiet", *words).stdout)
    assert [Path(file["path"]).read_text().split()[0] for file in made["texts"]] == [str(n) for n in range(ITEMS)]
    return which(made["first"]), which(made["second"])


@pytest.mark.parametrize("words", [["wf.cwl"], ["--reuse-container", "plain.cwl"]], ids=["hint", "flag"])
def test_items_share_and_steps_do_not(desk: Desk, engine: docker.APIClient, words: list[str]) -> None:
    first, second = outputs(desk, *words, job(desk))
    at_once = os.cpu_count() or 1
    assert len(first) <= at_once >= len(second) and not first & second
    assert not containers(engine, desk.directory)


def test_one_slot_has_one_container_a_step(desk: Desk) -> None:
    """So many items that some are sent in one message."""
    desk.env["CELERIAC_SLOTS"] = "1"  # type: ignore[index]
    made = json.loads(desk("run", "--quiet", "wf.cwl", job(desk, items=60)).stdout)
    first, second = which(made["first"]), which(made["second"])
    assert (len(made["first"]), len(first), len(second), len(first | second)) == (60, 1, 1, 2)


def test_each_has_its_own_unless_asked_and_a_hint_counts_more_than_the_flag(desk: Desk) -> None:
    for words in (["plain.cwl"], ["--reuse-container", "off.cwl"]):
        (desk.directory / "off.cwl").write_text(document("celeriac:reuse-container: {enable: false}"))
        first, second = outputs(desk, "--no-reuse", *words, job(desk))
        assert len(first | second) == 2 * ITEMS


def test_a_hint_that_can_t_be_understood(desk: Desk) -> None:
    (desk.directory / "bad.cwl").write_text(document("celeriac:reuse-container: {idle: 5}"))
    done = desk("run", "bad.cwl", job(desk), code=1)
    assert "celeriac:reuse-container" in done.stderr and "'idle' is no field of it" in done.stderr


def test_a_process_that_an_item_leaves_is_not_there_for_the_next(desk: Desk, engine: docker.APIClient) -> None:
    first, second = outputs(desk, "wf.cwl", job(desk, "sleep 600 > /dev/null 2>&1 &"))
    assert len(first | second) == 2 * ITEMS, "a container with something left in it is not used again"
    assert not containers(engine, desk.directory)


def test_more_memory_than_its_limit_is_named(desk: Desk, engine: docker.APIClient) -> None:
    script = "head -c 200m /dev/zero | tail -c 199m > /dev/null"
    done = desk("run", "--quiet", "--strict-memory-limit", "wf.cwl", job(desk, script), code=1)
    assert "memory" in done.stderr
    assert not containers(engine, desk.directory)


def test_an_interrupted_run_leaves_none(desk: Desk, engine: docker.APIClient) -> None:
    with desk.start("run", "--quiet", "wf.cwl", job(desk, "sleep 600")) as command:
        until(lambda: containers(engine, desk.directory), "no container runs")
        command.send_signal(signal.SIGINT)
        command.wait(HANG)
    assert not containers(engine, desk.directory)


def test_a_killed_run_leaves_none(desk: Desk, engine: docker.APIClient) -> None:
    with desk.start("run", "--quiet", "wf.cwl", job(desk, "[ -e /tmp/x ] || sleep 600")) as command:
        until(lambda: [one for one in containers(engine, desk.directory) if one["State"] == "running"], "none runs")
        for process in [*psutil.Process(command.pid).children(recursive=True), psutil.Process(command.pid)]:
            process.kill()
        until(lambda: not containers(engine, desk.directory), "its container goes on")


@pytest.fixture
def site(redis_url: str, desk: Desk) -> Iterator[Site]:
    desk.env.update({"CELERIAC_BROKER_URL": broker(redis_url), "CELERIAC_LEASE": "3600"})  # type: ignore[attr-defined]
    made = Site(desk)
    yield made
    made.show_logs()


def test_cancel_ends_the_container_of_each_item(site: Site, engine: docker.APIClient) -> None:
    with site.worker("one"):
        run = site.desk("submit", "wf.cwl", job(site.desk, "trap '' TERM; sleep 600")).stdout.strip()
        until(lambda: containers(engine, site.desk.directory), "no container runs")
        site.desk("cancel", run)
        until(lambda: not containers(engine, site.desk.directory), "its container goes on")
        until(lambda: site.run(run).state == "CANCELED", "it is not canceled")


def test_an_idle_container_goes_though_its_worker_lives(site: Site, engine: docker.APIClient) -> None:
    with site.worker("one"):
        run = site.desk("submit", "wf.cwl", job(site.desk)).stdout.strip()
        until(lambda: site.run(run).state == "SUCCESS", "it does not end")
        until(lambda: not containers(engine, site.desk.directory), "its container stays")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_ends_leaves_none(site: Site, engine: docker.APIClient, number: signal.Signals) -> None:
    """Once while items run, once when the containers are idle."""
    site.desk.env.update({"CELERIAC_DRAIN": "0"})  # type: ignore[attr-defined]
    for script in ("sleep 600", "true"):
        with site.worker("one") as worker:
            run = site.desk("submit", "wf.cwl", job(site.desk, script)).stdout.strip()
            until(lambda: containers(engine, site.desk.directory), "no container runs")
            if script == "true":
                until(lambda: site.run(run).state == "SUCCESS", "it does not end")  # noqa: B023
            main = psutil.Process(worker.pid)
            for process in [main, *main.children(recursive=True)] if number == signal.SIGKILL else [main]:
                process.send_signal(number)
            until(lambda: not containers(engine, site.desk.directory), "its container goes on")
        site.desk("cancel", run)
