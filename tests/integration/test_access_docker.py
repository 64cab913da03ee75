"""Runs from outside in real containers: what a tool does to reach the host, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from celeriac.container.docker import DockerRunner
from celeriac.job.run import JobRunner
from tests.unit.outside_site import CANARY, Site, site, tool


@pytest.fixture
def here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, docker_engine: str, docker_images: dict[str, str]
) -> Iterator[Site]:
    with site(tmp_path, caplog, processes=False, images=("alpine",)) as made:
        runner = DockerRunner(docker_engine)
        made.world.engine.jobs = JobRunner(lambda: runner, lambda: runner)
        yield made


def shell(script: str, **fields: Any) -> dict[str, Any]:
    requirements = {"DockerRequirement": {"dockerPull": "alpine"}, **fields.pop("requirements", {})}
    return tool(requirements=requirements, baseCommand=["sh", "-c", script], **fields)


def out(glob: str, **fields: Any) -> dict[str, Any]:
    return {"out": {"type": "Any", "outputBinding": {"glob": glob, **fields}}}


@pytest.mark.parametrize(
    ("script", "outputs"),
    [
        ("ln -s {canary} x", out("x", loadContents=True)),
        ("ln -s {root}/private x", out("x/*", loadContents=True)),
        ("ln -s ../../../../private/canary.txt x", out("x", loadContents=True)),
        ("ln -s {canary} cwl.output.json", {"out": "Any"}),
        ("mkfifo cwl.output.json", {"out": "Any"}),
        ("mkfifo x", out("x", loadContents=True)),
        ("mkdir d && ln -s {root}/private d/x", out("d", loadListing="deep_listing")),
        ("""echo '{{"out": {{"class": "File", "location": "file://{canary}"}}}}' > cwl.output.json""", {"out": "Any"}),
        ("""echo '{{"out": {{"class": "File", "path": "{canary}"}}}}' > cwl.output.json""", {"out": "Any"}),
        ("""echo '{{"out": {{"class": "Directory", "location": "../.."}}}}' > cwl.output.json""", {"out": "Any"}),
        ("i=0; while [ $i -lt 5000 ]; do printf '['; i=$((i+1)); done > cwl.output.json", {"out": "Any"}),
        ("cat {canary}; cat < {canary}; ls -R /", {"out": "stdout"}),
        ("echo x > /etc/passwd; echo x > {canary}; mount -t proc p /mnt; chroot /; id", {"out": "stdout"}),
    ],
)
def test_a_tool_gets_out_of_its_container_by_no_output(here: Site, script: str, outputs: dict[str, Any]) -> None:
    told = script.replace("{canary}", str(here.canary)).replace("{root}", str(here.root))
    here.attempt(shell(told.replace("{{", "{").replace("}}", "}"), outputs=outputs))
    assert CANARY not in here.told()
    assert CANARY not in repr(here.outputs())
    assert here.canary.read_text().strip() == CANARY


def test_inputs_can_be_read_and_not_changed(here: Site) -> None:
    (here.data / "x").write_text("fine")
    document = shell(
        "cat $0; echo changed > $0 || cp $0 copy",
        inputs={"file": {"type": "File", "inputBinding": {}}},
        outputs=out("copy", loadContents=True, outputEval="$(self[0].contents)"),
    )
    assert here.attempt(document, {"file": {"class": "File", "path": "x"}}) == ("", None)
    assert {"out": "fine"} in here.outputs()
    assert (here.data / "x").read_text() == "fine"


def test_there_is_no_network(here: Site) -> None:
    counted = out("n", loadContents=True, outputEval="$(self[0].contents)")
    document = shell("cat /proc/net/dev | grep -c : > n", outputs=counted)
    assert here.attempt(document) == ("", None)
    assert {"out": "1\n"} in here.outputs()
