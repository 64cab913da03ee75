"""How large this host is for its steps: what there is, lowered by settings, and its GPUs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from celeriac.resources import Budget
from queues.gpus import detect
from queues.host import host_budget, host_queue


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with four CPUs and 8192 MiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(4)))
    write(tmp_path / "proc/meminfo", f"MemTotal: {8192 * 1024} kB\n")
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def gpu(root: Path, bus: str, minor: str, uuid: str = "") -> None:
    told = f"GPU UUID: \t {uuid}\n" if uuid else ""
    text = f"Model: \t\t NVIDIA X\nIRQ:   \t\t 24\n{told}Bus Location: \t {bus}\nDevice Minor: \t {minor}\n"
    write(root / f"proc/driver/nvidia/gpus/{bus}/information", text)


def test_all_there_is(root: Path) -> None:
    assert host_budget(root) == Budget(4, 8192)


def test_it_is_as_large_as_the_queue_of_the_host(root: Path) -> None:
    write(root / "proc/self/cgroup", "0::/\n")
    write(root / "sys/fs/cgroup/cpu.max", "150000 100000\n")
    write(root / "sys/fs/cgroup/memory.max", f"{512 * 1024 * 1024}\n")
    budget = host_budget(root)
    queue = host_queue(budget)
    assert (budget.cpus, budget.ram) == (queue.cpus, queue.ram) == (1.5, 512)


def test_the_real_host() -> None:
    budget = host_budget()
    queue = host_queue(budget)
    assert (budget.cpus, budget.ram) == (queue.cpus, queue.ram)


def test_settings_lower_it(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert host_budget(root, cpus=2.5, ram=1000, gpus=["1", "0", "1"]) == Budget(2.5, 1000, ("1", "0"))
    assert not caplog.records


def test_more_than_there_is(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert host_budget(root, cpus=16, ram=1_048_576) == Budget(4, 8192)
    assert [record.getMessage() for record in caplog.records] == [
        "16 CPUs are set for this host's steps, but it has 4: that is what counts",
        "1048576 MiB of memory are set for this host's steps, but it has 8192: that is what counts",
    ]


@pytest.mark.parametrize("cpus", [0.0, 0.25])
def test_less_than_one_cpu_counts_as_one(root: Path, cpus: float) -> None:
    write(root / "proc/self/cgroup", "0::/\n")
    write(root / "sys/fs/cgroup/cpu.max", "50000 100000\n")
    assert host_budget(root, cpus=cpus).cpus == 1


# --- GPUs ----------------------------------------------------------------------------------------


def test_gpus_by_their_minors_in_order_of_number(root: Path) -> None:
    for bus, minor in (("0000:3b:00.0", "10"), ("0000:af:00.0", "2"), ("0000:18:00.0", "0")):
        gpu(root, bus, minor)
    assert detect(root) == ("0", "2", "10")
    assert host_budget(root).gpus == ("0", "2", "10")


def test_gpus_are_known_by_their_uuids_where_the_driver_tells_them(root: Path) -> None:
    gpu(root, "0000:3b:00.0", "1", "GPU-b1")
    gpu(root, "0000:18:00.0", "0", "GPU-a0")
    gpu(root, "0000:af:00.0", "2", "GPU-????????-????-????-????-????????????")
    assert detect(root) == ("GPU-a0", "GPU-b1", "2")


def test_given_gpus_are_not_looked_for(root: Path) -> None:
    gpu(root, "0000:3b:00.0", "0")
    assert host_budget(root, gpus=()).gpus == ()
    assert host_budget(root, gpus=("GPU-5c2d",)).gpus == ("GPU-5c2d",)


def test_no_driver(root: Path) -> None:
    assert detect(root) == ()


def test_a_gpu_that_tells_nothing(root: Path) -> None:
    gpu(root, "0000:3b:00.0", "N/A")
    write(root / "proc/driver/nvidia/gpus/0000:18:00.0/information", "Model: X\n")
    (root / "proc/driver/nvidia/gpus/0000:19:00.0/information").mkdir(parents=True)
    assert detect(root) == ()
