"""What runs from outside may do, they do as others: the rules cost them nothing else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from celeriac.errors import AccessError
from tests.unit.outside_site import Site, expression, reader, site, tool, workflow


def given(here: Site, name: str, text: str = "fine", **fields: Any) -> dict[str, Any]:
    (here.data / name).parent.mkdir(parents=True, exist_ok=True)
    (here.data / name).write_text(text)
    return {"class": "File", "location": f"file://{here.data}/{name}", **fields}


def contained(**fields: Any) -> dict[str, Any]:
    requirements = {"DockerRequirement": {"dockerPull": "debian:12"}, **fields.pop("requirements", {})}
    return tool(requirements=requirements, **fields)


def test_files_of_an_allowed_directory_go_through_steps(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    words: list[Sequence[str]] = []

    def play(found: Sequence[str]) -> str:
        words.append(list(found))
        return "said"

    copy = tool(
        inputs={"file": {"type": "File", "loadContents": True, "secondaryFiles": [".idx"]}},
        arguments=["$(inputs.file.contents)"],
        stdout="said.txt",
        outputs={
            "out": {"type": "stdout"},
            "same": {"type": "File", "outputBinding": {"outputEval": "$(inputs.file)"}},
        },
    )
    document = workflow(
        {
            "one": {"run": copy, "in": {"file": "file"}, "out": ["out", "same"]},
            "two": {"run": reader(), "in": {"file": "one/out"}, "out": []},
        },
        inputs={"file": {"type": "File", "secondaryFiles": [".idx"]}},
        outputs={name: {"type": "File", "outputSource": f"one/{name}"} for name in ("out", "same")},
    )
    with site(tmp_path, caplog, play) as here:
        given(here, "a b.txt.idx")
        assert here.attempt(document, {"file": given(here, "a b.txt")}, outdir=f"{here.data}/results") == ("", None)
        assert sorted(os.listdir(here.data / "results")) == ["a b.txt", "a b.txt.idx", "said.txt"]
    assert words == [["fine"], ["said"]]


def test_relative_paths_start_at_basedir_and_links_may_stay_within(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with site(tmp_path, caplog) as here:
        given(here, "sub/x")
        (here.data / "link").symlink_to("sub/x")
        for path in ("x", "../sub/x", "../link", "./x"):
            job = {"file": {"class": "File", "path": path}}
            assert here.attempt(reader(), job, basedir=f"{here.data}/sub") == ("", None)
        assert here.attempt(reader(), {"file": {"class": "File", "path": "link"}}) == ("", None)


@pytest.mark.parametrize("writable", [True, False])
def test_directories_and_literals(tmp_path: Path, caplog: pytest.LogCaptureFixture, writable: bool) -> None:
    process = tool(
        inputs={"d": {"type": "Directory", "loadListing": "deep_listing"}},
        requirements={
            "InitialWorkDirRequirement": {
                "listing": [
                    {"entry": "$(inputs.d)", "writable": writable},
                    {"entryname": "note", "entry": "made"},
                    "${return [{'class': 'Directory', 'basename': 'new', 'listing': []}]}",
                ]
            }
        },
        outputs={"out": {"type": "Directory", "outputBinding": {"glob": "sub"}}},
    )
    with site(tmp_path, caplog) as here:
        given(here, "sub/deep/x")
        (here.data / "sub" / "link").symlink_to("deep")
        assert here.attempt(process, {"d": {"class": "Directory", "path": "sub"}}) == ("", None)


def test_an_image_that_is_allowed_and_a_link_that_a_container_need_not_follow(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with site(tmp_path, caplog, processes=False) as here:
        given(here, "sub/x")
        (here.data / "sub" / "out").symlink_to(here.canary)
        process = contained(inputs={"d": "Directory"})
        # no digest is made of what lies outside, so nothing is reused
        assert here.attempt(process, {"d": {"class": "Directory", "path": "sub"}}, reuse=True) == ("", None)
        command = here.world.commands[-1]
        assert command.container is not None and command.container.network == "none"
        mounted = [mount.source for mount in command.container.mounts if not mount.writable]
        assert f"{here.data}/sub" in mounted
        (parts,) = (row.parts for row in here.world.attempts(command.container.labels["celeriac.run"]))
        assert "leads out" in parts[""]


def test_a_tool_of_the_first_version_runs_without_the_network_it_always_had(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    document = {
        "cwlVersion": "v1.0",
        "class": "CommandLineTool",
        "hints": {"DockerRequirement": {"dockerPull": "debian:12"}},
        "baseCommand": "true",
        "inputs": {},
        "outputs": {},
    }
    for network, expected in ((False, "none"), (True, None)):
        with site(tmp_path / str(network), caplog, network=network) as here:
            assert here.attempt(document) == ("", None)
            container = here.world.commands[-1].container
            assert container is not None and container.network == expected


@pytest.fixture(autouse=True)
def directories(tmp_path: Path) -> None:
    for name in ("False", "True"):
        (tmp_path / name).mkdir()


def test_outputs_of_another_run_are_taken_as_the_run_s_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    process = tool(stdout="said.txt", outputs={"out": "stdout"}, inputs={"file": "File"})
    document = workflow(
        {
            "one": {"run": process, "in": {"file": "file"}, "out": ["out"]},
            "two": {"run": reader(), "in": {"file": "one/out"}, "out": []},
        },
        inputs={"file": "File"},
        outputs={"out": {"type": "File", "outputSource": "one/out"}},
    )
    with site(tmp_path, caplog) as here:
        job = {"file": given(here, "x")}
        for _ in range(2):
            assert here.attempt(document, job, reuse=True) == ("", None)
        assert len(here.world.commands) == 2
        first, second = (path for path in (here.root / "home" / "runs").iterdir() if path.is_dir())
        # what the first one left, the second one may not name
        where, error = here.attempt(reader(), {"file": {"class": "File", "path": str(next(first.rglob("said.txt")))}})
        assert where == "submit" and isinstance(error, AccessError)
        assert next(second.rglob("said.txt")).read_text() == "said"


def test_an_expression_makes_literals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = expression("${return {'out': {'class': 'File', 'basename': 'x', 'contents': 'y'}}}", "File")
    with site(tmp_path, caplog) as here:
        assert here.attempt(made) == ("", None)


def test_without_an_access_nothing_is_looked_at(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with site(tmp_path, caplog) as here:
        run = here.world.finished(here.write(reader()), {"file": {"class": "File", "path": str(here.canary)}})
        assert run.state == "SUCCESS", run.error
