"""celeriac why: what a step asked for, which queue it got, what became of its attempts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.commands import Desk, desk
from tests.acceptance.workers import Site, until

QUEUES = "small: {cpus: 1, ram: 512}\nlarge: {cpus: 1, ram: 1024}\ngpu: {cpus: 1, ram: 512, gpus: 1}\n"

WORKFLOW = """\
cwlVersion: v1.2
class: Workflow
$namespaces: {celeriac: "urn:celeriac:", cwltool: "http://commonwl.org/cwltool#"}
requirements: {ScatterFeatureRequirement: {}, SubworkflowFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {files: "File[]", place: string}
outputs: {}
steps:
  plain: {run: plain.cwl, in: {place: place}, out: [text]}
  sized:
    in: {file: files}
    scatter: file
    out: []
    run:
      class: CommandLineTool
      id: sizer
      requirements:
        InlineJavascriptRequirement: {}
        ResourceRequirement: {ramMin: $(inputs.file.size), coresMin: 1, coresMax: 4}
      baseCommand: "true"
      inputs: {file: File}
      outputs: {}
  climbs:
    in: {place: place}
    out: []
    hints: {ResourceRequirement: {ramMin: 300}}
    run:
      class: CommandLineTool
      id: climber
      baseCommand: [sh, -c, '[ -e "$0/climbed" ] || { touch "$0/climbed"; echo "MemoryError" >&2; exit 1; }']
      inputs: {place: {type: string, inputBinding: {}}}
      outputs: {}
  hinted:
    in: {place: place}
    out: []
    hints: {celeriac:queue: {queue: large}}
    run: plain.cwl
  skipped:
    in: {text: plain/text}
    out: []
    when: $(inputs.text == "never")
    run: {class: CommandLineTool, baseCommand: "true", inputs: {text: string}, outputs: {}}
  device:
    in: {text: plain/text}
    out: [text]
    hints: {"cwltool:CUDARequirement": {cudaVersionMin: "11.0", cudaComputeCapability: "3.0", cudaDeviceCountMin: 1}}
    run: text.cwl
  after: {run: text.cwl, in: {text: device/text}, out: [text]}
  inner:
    in: {text: after/text}
    out: []
    run:
      class: Workflow
      inputs: {text: string}
      outputs: {}
      steps:
        deep: {run: text.cwl, in: {text: text}, out: [text]}
"""
PLAIN = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: "true"
inputs: {place: string}
outputs: {text: {type: string, outputBinding: {outputEval: "$('said')"}}}
"""


@pytest.fixture(scope="module")
def cluster(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A worker for `small` and `large`, and none for `gpu`."""
    directory = tmp_path_factory.mktemp("why")
    (directory / "queues.yaml").write_text(QUEUES)
    here = desk(
        directory,
        CELERIAC_BROKER_URL=redis_url.removesuffix("/0") + "/8",
        CELERIAC_QUEUES=str(directory / "queues.yaml"),
        CELERIAC_SLOTS_DIR=str(directory / "slots"),
    )
    site = Site(here)
    site.write(wf=WORKFLOW, plain=PLAIN, text=PLAIN.replace("place", "text"))
    (directory / "job.json").write_text(json.dumps(_job(directory)))
    with site.worker("steps", "-Q", "small,large"):
        yield site


def _job(directory: Any) -> dict[str, Any]:
    files = []
    for size in (100, 700, 200):  # bytes, which are taken for MiB
        (directory / f"{size}.bin").write_bytes(b"x" * size)
        files.append({"class": "File", "path": f"{size}.bin"})
    (directory / "marks").mkdir()
    return {"files": files, "place": str(directory / "marks")}


@pytest.fixture(scope="module")
def run(cluster: Site) -> Iterator[str]:
    """A run whose only step that has not ended waits for a worker of `gpu`."""
    name = cluster.submit("wf.cwl", "job.json")

    def waits() -> bool:
        states = cluster.states(name)
        ended = {path for path, state in states.items() if state in ("SUCCESS", "SKIPPED")}
        return states.get("device") == "QUEUED" and {"climbs", "hinted", "skipped", "sized[2]"} <= ended

    try:
        until(waits, "the run does not get to its waiting step")
        yield name
    finally:
        cluster.show_logs()
        cluster.desk("cancel", name)


def reasons(data: dict[str, Any]) -> dict[str, str]:
    """Return each queue's reason."""
    return {queue["name"]: queue["reason"] for queue in data["queues"]}


def test_a_silent_step(cluster: Site, run: str) -> None:
    data = cluster.desk.json("why", run, "plain")
    assert (data["step"], data["state"], data["queue"]) == ("plain", "SUCCESS", "small")
    assert [(one["name"], one["least"], one["most"], one["said"]) for one in data["asked"]] == [
        ("cpus", 1.0, None, {}), ("ram", 256, None, {}), ("tmpdir", 1024, 1024, {}), ("outdir", 1024, 1024, {}),
    ]  # fmt: skip
    assert reasons(data) == {
        "small": "taken: the smallest that holds it",
        "large": "holds it, but small is smaller",
        "gpu": "holds it, but small is smaller",
    }
    assert data["granted"] == {"cpus": 1.0, "ram": 512, "gpus": 0}
    assert (data["waits"], data["items"]) == (None, None)
    text = cluster.desk("why", run, "plain").stdout
    assert "the document says nothing: CWL v1." in text
    assert "granted on small 1 CPU, 512 MiB: the queue's limit" in text


def test_a_scatter_by_file_size(cluster: Site, run: str) -> None:
    data = cluster.desk.json("why", run, "sized")
    assert (data["step"], data["tool"]) == ("sized[0]", "sizer")
    assert data["items"] == {"total": 3, "queues": {"small": 2, "large": 1}}
    large = cluster.desk.json("why", run, "sized[1]")
    assert (large["queue"], large["items"], large["granted"]["ram"]) == ("large", None, 700)
    assert large["inputs"] == [{"name": "file", "files": 1, "bytes": 700}]
    assert reasons(large)["small"] == "too small: 700 MiB asked, 512 there"
    text = cluster.desk("why", run, "sized[1]").stdout
    assert "ramMin: $(inputs.file.size) (an expression under requirements of the tool)" in text
    assert "coresMin: 1, coresMax: 4 (a constant" in text and "file: 700 bytes" in text


def test_a_step_that_ran_out_of_memory(cluster: Site, run: str) -> None:
    data = cluster.desk.json("why", run, "climbs")
    assert data["asked"][1]["source"] == "ramMin: 300 (a constant under hints of its step or a workflow around it)"
    assert [(one["queue"], one["outcome"]) for one in data["attempts"]] == [
        ("small", "outOfMemory"), ("large", "success"),
    ]  # fmt: skip
    assert data["attempts"][1]["granted"]["ram"] == 1024
    expected = "attempt 1 ran out of the 300 MiB that it had: the next larger queue, with all its memory"
    assert data["attempts"][1]["because"] == expected
    assert f"Attempt 2: {expected}." in cluster.desk("why", run, "climbs").stdout


def test_a_step_that_names_its_queue(cluster: Site, run: str) -> None:
    data = cluster.desk.json("why", run, "hinted")
    assert (data["hint"], data["queue"]) == ("large", "large")
    assert reasons(data)["small"] == "holds it, but the step asks for large"


def test_a_step_that_waits_for_a_worker(cluster: Site, run: str) -> None:
    data = cluster.desk.json("why", run, "device")
    assert data["state"] == "QUEUED"
    waits = data["waits"]
    assert (waits["queue"], waits["waiting"], waits["workers"]) == ("gpu", 1, [])
    assert "no worker serves queue gpu: start one with `celery worker -Q gpu`" in waits["text"]
    assert "start one with `celery worker -Q gpu`" in cluster.desk("why", run, "device").stdout
    assert reasons(data)["large"] == "too small: 1 GPU asked, 0 there"


def test_steps_whose_turn_has_not_come(cluster: Site, run: str) -> None:
    after = cluster.desk.json("why", run, "after")
    assert (after["state"], after["attempts"]) == (None, [])
    assert after["text"] == "it waits for device (QUEUED)"
    assert after["queue"] == "small", "what it asks for is constant, so its queue is known"
    deep = cluster.desk.json("why", run, "inner/deep")
    assert deep["text"] == "it is inside inner, which waits for after (not begun)"
    assert "is not there yet" in cluster.desk("why", run, "inner/deep").stdout


def test_a_step_that_was_skipped(cluster: Site, run: str) -> None:
    data = cluster.desk.json("why", run, "skipped")
    assert data["text"] == 'it was skipped: its `when` was false ($(inputs.text == "never"))'


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("pain", "did you mean plain?"),
        ("sized[9]", "its items are sized[0] to sized[2]"),
        ("plain[1]", "'plain' is no scatter"),
        ("", "name one: "),
    ],
)
def test_a_step_that_is_none(cluster: Site, run: str, step: str, expected: str) -> None:
    assert expected in cluster.desk("why", run, step, code=1).stderr


def test_a_step_that_no_queue_holds_once_it_is_evaluated(cluster: Site) -> None:
    cluster.write(
        big="{cwlVersion: v1.2, class: CommandLineTool, baseCommand: 'true', inputs: {amount: int}, outputs: {},"
        " requirements: {ResourceRequirement: {ramMin: $(inputs.amount)}}}"
    )
    run = cluster.submit("big.cwl", "--amount", "99999")
    assert cluster.ended(run).state == "FAILED"
    data = cluster.desk.json("why", run)
    assert "99999 MiB, which no queue holds" in data["text"]
    assert data["queue"] is None and reasons(data)["large"] == "too small: 99999 MiB asked, 1024 there"


def test_a_run_in_one_process_has_the_host_for_its_queue(tmp_path_factory: pytest.TempPathFactory) -> None:
    here: Desk = desk(tmp_path_factory.mktemp("alone"))
    here("run", "--no-container", "--quiet", "numbers.cwl")
    data = here.json("why", here.newest(), "work")
    assert [queue["name"] for queue in data["queues"]] == ["local"]
    assert data["granted"] == {"cpus": 1.0, "ram": 256, "gpus": 0}
    assert "since the queue local is the whole host" in data["grant"]
    numbers = here.json("why", here.newest(), "numbers")
    assert (numbers["granted"], numbers["grant"]) == (None, "nothing: an expression needs no slot")
