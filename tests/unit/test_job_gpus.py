"""The GPUs that a step leased reach its tool, in a container and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from celeriac.job.options import RunOptions
from tests.unit.test_job_run import DOCKER, Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_container_is_granted_the_very_devices(job: Job) -> None:
    job.request = {"gpus": ("1", "GPU-5")}
    job.run(requirements=[DOCKER])
    assert job.command.container is not None
    assert job.command.container.gpus == ("1", "GPU-5")
    assert "CUDA_VISIBLE_DEVICES" not in job.command.env, "inside they are numbered anew"


def test_a_plain_process_is_told_which_are_its_own(job: Job) -> None:
    job.request = {"gpus": ("1", "GPU-5")}
    job.run(options=RunOptions(use_container=False))
    assert job.command.env["CUDA_VISIBLE_DEVICES"] == "1,GPU-5"


def test_without_gpus_nothing_is_said(job: Job) -> None:
    """An empty value would hide those that the host has."""
    job.run(options=RunOptions(use_container=False))
    assert "CUDA_VISIBLE_DEVICES" not in job.command.env
