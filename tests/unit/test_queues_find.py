"""Which queue file is taken, and how large this host is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from celeriac.errors import QueueFileError
from celeriac.resources import Resources, place
from queues.file import load
from queues.find import PACKAGED, find
from queues.host import host_budget, host_queue

ROOT = Path(__file__).parents[2]
MIB = 1024 * 1024
ALL = float(len(os.sched_getaffinity(0)))

# --- find ----------------------------------------------------------------------------------------


def test_a_setting_comes_first(tmp_path: Path) -> None:
    (tmp_path / "queues.yaml").touch()
    assert find("/etc/other.yaml", tmp_path) == Path("/etc/other.yaml")
    assert find("conf/q.yaml", tmp_path) == tmp_path / "conf/q.yaml"


def test_a_setting_below_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert find("~/q.yaml", tmp_path) == Path("/home/somebody/q.yaml")
    assert find("~no-such-user/q.yaml", tmp_path) == tmp_path / "~no-such-user/q.yaml"


@pytest.mark.parametrize("setting", [None, ""])
def test_then_the_working_directory(tmp_path: Path, setting: str | None) -> None:
    (tmp_path / "queues.yaml").touch()
    assert find(setting, tmp_path) == tmp_path / "queues.yaml"


def test_then_the_packaged_one(tmp_path: Path) -> None:
    assert find(None, tmp_path) == PACKAGED


def test_a_broken_link_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "queues.yaml").symlink_to("gone")
    with pytest.raises(QueueFileError, match="does not exist"):
        load(find(None, tmp_path))


def test_the_packaged_queues_are_those_of_the_checkout() -> None:
    assert load(PACKAGED) == load(ROOT / "queues.yaml")
    assert {q.name: (q.cpus, q.ram) for q in load(PACKAGED)} == {"advanced": (2, 2048), "default": (1, 1024)}


# --- this host -----------------------------------------------------------------------------------


def host(root: Path, files: dict[str, str], memory_mib: int = 8192) -> Path:
    """Write a /proc and a /sys/fs/cgroup."""
    files = {"proc/meminfo": f"MemTotal: {memory_mib * 1024} kB\nMemFree: 1 kB\n", **files}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_real_host_holds_a_plain_step() -> None:
    queue = host_queue(host_budget())
    assert queue.name == "local"
    assert 1 <= queue.cpus <= max(1.0, ALL)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MIB
    assert 256 <= queue.ram <= total
    assert place(Resources(1, 256), [queue]) == queue


def test_no_control_groups(tmp_path: Path) -> None:
    queue = host_queue(host_budget(host(tmp_path, {})))
    assert (queue.cpus, queue.ram) == (max(1.0, ALL), 8192)


UNLIMITED_V1 = "9223372036854771712\n"

# (what, files, CPUs that the quota allows, MiB)
GROUPS: list[tuple[str, dict[str, str], float, int]] = [
    (
        "v2",
        {
            "proc/self/cgroup": "0::/user.slice/run.scope\n",
            "sys/fs/cgroup/user.slice/run.scope/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/user.slice/run.scope/memory.max": f"{512 * MIB}\n",
        },
        1.5,
        512,
    ),
    (
        "v2, no limit",
        {
            "proc/self/cgroup": "0::/a\n",
            "sys/fs/cgroup/a/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/memory.max": "max\n",
        },
        1e9,
        8192,
    ),
    (
        "v2, the parent's limit is the smaller",
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/cpu.max": "900000 100000\n",
            "sys/fs/cgroup/a/cpu.max": "120000 100000\n",
            "sys/fs/cgroup/a/b/memory.max": f"{4096 * MIB}\n",
            "sys/fs/cgroup/a/memory.max": f"{1024 * MIB}\n",
        },
        1.2,
        1024,
    ),
    (
        "v2, in a container with its own namespace",
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cpu.max": "110000 100000\n",
            "sys/fs/cgroup/memory.max": f"{300 * MIB}\n",
        },
        1.1,
        300,
    ),
    (
        "v2, moved out of its namespace",
        {
            "proc/self/cgroup": "0::/../../elsewhere\n",
            "sys/fs/cgroup/cpu.max": "110000 100000\n",
            "sys/fs/cgroup/memory.max": f"{300 * MIB}\n",
        },
        1.1,
        300,
    ),
    (
        "v1",
        {
            "proc/self/cgroup": "5:memory:/job\n4:cpu,cpuacct:/job\n1:name=systemd:/x:y\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": "130000\n",
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": f"{700 * MIB}\n",
        },
        1.3,
        700,
    ),
    (
        "v1, no limit",
        {
            "proc/self/cgroup": "5:memory:/job\n4:cpu:/job\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/job/memory.limit_in_bytes": UNLIMITED_V1,
        },
        1e9,
        8192,
    ),
    (
        "v1, in a container that sees its own group at the mount",
        {
            "proc/self/cgroup": "5:memory:/docker/abc\n4:cpuacct,cpu:/docker/abc\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "130000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{700 * MIB}\n",
        },
        1.3,
        700,
    ),
    (
        "less than one CPU counts as one",
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        1.0,
        8192,
    ),
    (
        "a limit above the host's memory",
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{999999 * MIB}\n"},
        1e9,
        8192,
    ),
]


@pytest.mark.parametrize(("files", "quota", "ram"), [g[1:] for g in GROUPS], ids=[g[0] for g in GROUPS])
def test_control_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], quota: float, ram: int
) -> None:
    # A host of eight, so that the quota tells on machines with one CPU as well.
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    queue = host_queue(host_budget(host(tmp_path, files)))
    assert queue.cpus == pytest.approx(min(8, quota))
    assert queue.ram == ram
