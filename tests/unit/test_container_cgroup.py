"""Cgroups by files that the test writes: both versions, where they are, what they say. No kernel takes part.

What the kernel of this host does with them is in tests/integration/test_process_limits.py; version 2 is
tried here alone where the host has version 1.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.container.cgroup import reading
from celeriac.container.cgroup.group import Group
from celeriac.container.cgroup.hierarchy import hierarchies
from celeriac.container.cgroup.reading import Reading, needed, read
from celeriac.container.cgroup.tools import ToolGroups
from celeriac.container.owner import OWNER, owner_labels
from celeriac.container.tree import MARK, Tree, is_mark_of
from celeriac.container.usage import Usage

MIB = 2**20
V1_FILES = {
    "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cgroup.procs"),
    "cpu": ("cpu.cfs_period_us", "cpu.cfs_quota_us", "cgroup.procs"),
    "cpuacct": ("cgroup.procs",),
}


class Kernel:
    """Plays the part that fills a new group with files, and lets it be removed with them."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self.proc = top / "proc"
        (self.proc / "self").mkdir(parents=True)
        make, remove = os.mkdir, os.rmdir

        def mkdir(path: str | os.PathLike[str], *args: int, **kwargs: int) -> None:
            make(path, *args, **kwargs)
            self.fill(Path(path))

        def rmdir(path: str | os.PathLike[str], **kwargs: int) -> None:
            for file in Path(path).iterdir() if self.top in Path(path).parents else ():
                file.unlink()
            remove(path, **kwargs)

        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "rmdir", rmdir)

    def fill(self, path: Path) -> None:
        if path.name.startswith("celeriac."):
            kind = next((part for part in reversed(path.parts) if part in V1_FILES), None)
            offered = _text(path.parent / "cgroup.subtree_control").split()
            for name in V1_FILES[kind] if kind else self.second(offered):
                (path / name).write_text("")

    @staticmethod
    def second(offered: list[str]) -> list[str]:
        files = {"memory": ["memory.max", "memory.swap.max"], "cpu": ["cpu.max"]}
        return ["cgroup.procs", "cgroup.kill"] + [name for key in offered for name in files.get(key, [])]

    def mount(self, *lines: str) -> None:
        (self.proc / "self" / "mountinfo").write_text("\n".join(lines).format(top=self.top) + "\n")

    def within(self, *lines: str) -> None:
        (self.proc / "self" / "cgroup").write_text("\n".join(lines) + "\n")

    def group(self, path: str, **files: str) -> Path:
        made = self.top / path
        made.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (made / name.replace("__", ".")).write_text(text)
        return made

    def groups(self, *, memory: int | None = 64 * MIB, cpus: float | None = 1.5) -> tuple[Group | None, dict[str, str]]:
        return ToolGroups(str(self.proc)).make("tool", memory=memory, cpus=cpus)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _only(directory: Path) -> Path:
    (found,) = [entry for entry in directory.iterdir() if entry.name.startswith("celeriac.")]
    return found


# --- where they are --------------------------------------------------------------------------------


def test_version_1(kernel: Kernel) -> None:
    kernel.mount(
        "33 31 0:30 / {top}/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct",
        "35 31 0:32 / {top}/memory rw - cgroup cgroup rw,memory",
        "36 31 0:33 / {top}/systemd rw - cgroup cgroup rw,name=systemd",
    )
    kernel.within("4:memory:/user/me", "1:cpu,cpuacct:/", "0::/")
    found = hierarchies(str(kernel.proc))
    assert (found["memory"].version, found["memory"].own) == (1, f"{kernel.top}/memory/user/me")
    assert found["cpu"].own == found["cpuacct"].own == f"{kernel.top}/cpu,cpuacct"


def test_version_2(kernel: Kernel) -> None:
    kernel.mount("31 23 0:28 / {top}/unified rw - cgroup2 cgroup2 rw,nsdelegate")
    kernel.within("0::/a.slice/b.scope")
    kernel.group("unified/a.slice/b.scope", cgroup__controllers="cpu memory pids\n")
    found = hierarchies(str(kernel.proc))
    assert set(found) == {"cpu", "memory", "pids"}
    assert (found["memory"].version, found["memory"].own) == (2, f"{kernel.top}/unified/a.slice/b.scope")


def test_both_versions_where_the_first_has_the_controllers(kernel: Kernel) -> None:
    kernel.mount(
        "35 31 0:32 / {top}/memory rw - cgroup cgroup rw,memory",
        "41 31 0:38 / {top}/unified rw - cgroup2 cgroup2 rw",
    )
    kernel.within("4:memory:/", "0::/")
    kernel.group("unified", cgroup__controllers="hugetlb\n")
    found = hierarchies(str(kernel.proc))
    assert found["memory"].version == 1 and found["hugetlb"].version == 2


def test_a_container_sees_its_own_group_at_the_top(kernel: Kernel) -> None:
    kernel.mount("35 31 0:32 /docker/c0ffee {top}/memory ro - cgroup cgroup rw,memory")
    kernel.within("4:memory:/docker/c0ffee")
    assert hierarchies(str(kernel.proc))["memory"].own == f"{kernel.top}/memory"


def test_no_cgroups_at_all(kernel: Kernel) -> None:
    assert hierarchies(str(kernel.proc)) == {}
    group, problems = kernel.groups()
    assert group is None and set(problems) == {"memory", "cpu"}


# --- limits ----------------------------------------------------------------------------------------


def test_limits_of_version_1(kernel: Kernel) -> None:
    kernel.mount(*(f"1 1 0:1 / {{top}}/{name} rw - cgroup cgroup rw,{name}" for name in V1_FILES))
    kernel.within(*(f"1:{name}:/" for name in V1_FILES))
    for name in V1_FILES:
        kernel.group(name)
    group, problems = kernel.groups()
    assert group is not None and not problems
    memory, cpu = _only(kernel.top / "memory"), _only(kernel.top / "cpu")
    assert memory.name == cpu.name == _only(kernel.top / "cpuacct").name
    assert _text(memory / "memory.limit_in_bytes") == _text(memory / "memory.memsw.limit_in_bytes") == str(64 * MIB)
    assert (_text(cpu / "cpu.cfs_period_us"), _text(cpu / "cpu.cfs_quota_us")) == ("100000", "150000")
    assert group.remove() and not memory.exists() and not cpu.exists()


def test_a_kernel_that_counts_no_swap(kernel: Kernel) -> None:
    made = kernel.group("memory/celeriac.x", memory__swappiness="60")
    for name in ("memory.memsw.limit_in_bytes",):
        (made / name).unlink()
    Group({"memory": str(made)}).limit_memory(MIB)
    assert _text(made / "memory.swappiness").startswith("0")


def _second(kernel: Kernel, path: str = "main.service/worker") -> Path:
    kernel.mount("31 23 0:28 / {top}/unified rw - cgroup2 cgroup2 rw")
    kernel.within(f"0::/{path}")
    return kernel.group(f"unified/{path}", cgroup__controllers="cpu memory", cgroup__procs="1")


def _delegate(directory: Path, controllers: str) -> None:
    (directory / "cgroup.subtree_control").write_text(controllers)


def test_limits_of_version_2_beside_the_worker(kernel: Kernel) -> None:
    """Its own group has processes, so that the kernel hands nothing to those below it."""
    own = _second(kernel)
    own.chmod(0o755)
    _delegate(own.parent, "cpu memory")
    group, problems = kernel.groups()
    assert group is not None and not problems
    made = _only(own.parent)
    assert _text(made / "memory.max") == str(64 * MIB)
    assert _text(made / "memory.swap.max") == "0"
    assert _text(made / "cpu.max") == "150000 100000"
    group.add(4711)
    assert _text(made / "cgroup.procs") == "4711"
    assert group.lacks({4711, 4712}) == {4712}
    (made / "cgroup.procs").write_text("")
    assert group.kill() and _text(made / "cgroup.kill") == "1"
    assert group.remove() and not made.exists()


def test_limits_of_version_2_below_the_worker(kernel: Kernel) -> None:
    own = _second(kernel)
    _delegate(own, "cpu memory")
    group, problems = kernel.groups()
    assert group is not None and not problems and _only(own)


def test_version_2_where_memory_alone_is_delegated(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As systemd does for users by default."""
    own = _second(kernel)
    _delegate(own.parent, "memory")
    write = os.write

    def refuse(fd: int, data: bytes) -> int:
        if data.startswith(b"+"):
            raise OSError(13, "Permission denied")
        return write(fd, data)

    monkeypatch.setattr(os, "write", refuse)
    group, problems = kernel.groups()
    assert group is not None and set(problems) == {"cpu"}
    assert _text(_only(own.parent) / "memory.max") == str(64 * MIB)


def test_version_2_where_nothing_is_delegated(kernel: Kernel) -> None:
    _second(kernel)
    group, problems = kernel.groups()
    assert group is None and set(problems) == {"memory", "cpu"}


# --- whose they are --------------------------------------------------------------------------------


def test_groups_are_found_by_the_name_of_the_tool(kernel: Kernel) -> None:
    own = _second(kernel)
    _delegate(own.parent, "cpu memory")
    tools = ToolGroups(str(kernel.proc))
    tools.make("one", memory=MIB, cpus=None)
    assert len(tools.of("one")) == 1 and not tools.of("two") and not tools.of("on")


def test_groups_of_dead_workers_are_removed(kernel: Kernel) -> None:
    own = _second(kernel)
    _delegate(own.parent, "cpu memory")
    pid, start, namespace = owner_labels()[OWNER].split(":")
    alive = own.parent / f"celeriac.0123456789abcdef.{pid}.{start}.{namespace}.1"
    dead = own.parent / f"celeriac.0123456789abcdef.{pid}.{int(start) + 1}.{namespace}.2"
    elsewhere = own.parent / f"celeriac.0123456789abcdef.{pid}.{int(start) + 1}.1.3"
    other = own.parent / "celeriac.service"
    for group in (alive, dead, elsewhere, other):
        group.mkdir()
    kernel.groups()
    assert alive.exists() and elsewhere.exists() and other.exists() and not dead.exists()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), st.text(max_size=5))
def test_a_mark_tells_the_name(name: str, other: str) -> None:
    if "\0" in other or any(0xD800 <= ord(char) <= 0xDFFF for char in other):
        return
    entry = Tree("0wner", name).mark.encode()
    assert is_mark_of(entry, name)
    assert is_mark_of(entry, other) is (other == name)
    assert not is_mark_of(entry.replace(MARK.encode(), b"OTHER"), name)


# --- what they say ---------------------------------------------------------------------------------


def _write(directory: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (directory / name).write_text(text)
    return str(directory)


def test_a_reading_of_version_1(tmp_path: Path) -> None:
    files = {
        "memory.usage_in_bytes": "300\n",
        "memory.max_usage_in_bytes": "400\n",
        "memory.stat": "cache 200\nrss 1\ntotal_cache 200\ntotal_rss 90\ntotal_shmem 10\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "memory.failcnt": "0\n",
        "memory.memsw.failcnt": "7\n",
        "cpuacct.usage": "1500000000\n",
    }
    directory = _write(tmp_path, files)
    assert read(directory, directory) == Reading(300, 100, 400, 1.5, oom_kills=2, at_limit=True)


@pytest.mark.parametrize(("oom", "at_limit"), [(0, False), (1, True)])
def test_a_reading_of_version_2(tmp_path: Path, oom: int, at_limit: bool) -> None:
    files = {
        "memory.current": "300\n",
        "memory.peak": "400\n",
        "memory.stat": "anon 90\nfile 210\nshmem 10\n",
        "memory.events": f"low 0\nhigh 0\nmax 12\noom {oom}\noom_kill 1\n",
        "cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    }
    directory = _write(tmp_path, files)
    assert read(directory, directory) == Reading(300, 100, 400, 1.5, oom_kills=1, at_limit=at_limit)


def test_a_group_that_is_gone(tmp_path: Path) -> None:
    assert read(str(tmp_path), str(tmp_path)) is None
    assert read(None, None) is None


def test_shared_memory_that_an_engine_leaves_out() -> None:
    stats = {"total_rss": 100, "total_cache": 60, "total_active_file": 20, "total_inactive_file": 10}
    assert needed(stats) == 130
    assert needed({**stats, "total_shmem": 5}) == 105
    assert needed({}) is None


# --- the peak --------------------------------------------------------------------------------------

AMOUNTS = st.integers(0, 10**6)


@given(st.lists(st.tuples(AMOUNTS, AMOUNTS, AMOUNTS), min_size=1), st.integers(1, 2 * 10**6) | st.none())
def test_the_peak_is_between_what_was_seen_to_be_needed_and_what_was_charged(
    steps: list[tuple[int, int, int]], limit: int | None
) -> None:
    """Each step: needed and cached bytes at a look, and a burst of needed ones between it and the one before."""
    usage, high_water, seen = Usage(lambda: None, limit), 0, 0
    for wanted, cached, burst in steps:
        bound = limit or 10**9
        needs = min(wanted, bound)
        used = min(needs + cached, bound)
        high_water = max(high_water, used, min(burst, bound))
        seen = max(seen, needs)
        usage.take(Reading(used, needs, high_water))
    peak = usage.peak_memory or 0
    assert seen <= peak <= high_water
    assert limit is None or peak <= limit


@given(AMOUNTS, st.lists(AMOUNTS, min_size=1))
def test_a_cache_that_only_grows_is_never_taken_for_a_need(needs: int, added: list[int]) -> None:
    usage, cached = Usage(lambda: None), 0
    for amount in added:
        cached += amount
        usage.take(Reading(needs + cached, needs, needs + cached))
    assert (usage.peak_memory or 0) == needs


def test_a_burst_between_two_looks_is_seen_by_the_high_water_mark() -> None:
    usage = Usage(lambda: None)
    usage.take(Reading(used=120, needed=20, high_water=120))
    usage.take(Reading(used=120, needed=20, high_water=700))
    assert usage.peak_memory == 600


def test_nothing_seen_is_not_nothing_used() -> None:
    usage = Usage(lambda: None)
    usage.look(0)
    assert usage.peak_memory is None and usage.cpu_seconds is None
    usage.take(Reading(0, 0, 0))
    assert usage.peak_memory is None


def test_looks_come_often_at_first() -> None:
    seen: list[int] = []
    usage = Usage(lambda: seen.append(1))  # type: ignore[func-returns-value]
    now = 0.0
    for _ in range(100):
        now += usage.look(now)
    assert len(seen) == 100 and 90 < now < 100
    usage.every(7)
    now += usage.look(now)
    assert usage.look(now) == 7


@given(st.integers(1, 10**12))
def test_what_is_near_its_limit_has_no_more_to_take(limit: int) -> None:
    usage = Usage(lambda: None, limit)
    usage.take(Reading(0, 0, max(0, limit - 2 * MIB)))
    assert usage.at_limit
    if limit > 3 * MIB:
        usage = Usage(lambda: None, limit)
        usage.take(Reading(0, 0, limit - 3 * MIB))
        assert not usage.at_limit


@pytest.mark.parametrize("names", [("memory.peak", "memory.current", "anon"), ("memory.max_usage_in_bytes", "memory.usage_in_bytes", "total_rss")])  # fmt: skip  # noqa: E501
@pytest.mark.parametrize("sign", [1, -1], ids=["taken", "given back"])
def test_what_changes_in_the_midst_of_a_look_is_not_taken_for_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str, str], sign: int
) -> None:
    peak, current, key = names
    (tmp_path / peak).write_text(str(200 * MIB))
    at = [100 * MIB]

    def text(path: str) -> str:
        """Answer, and have the tool take or give back a little before the next question."""
        at[0] += sign * MIB
        name = Path(path).name
        return f"{key} {at[0]}" if name == "memory.stat" else str(at[0]) if name == current else original(path)

    original = reading.text
    monkeypatch.setattr(reading, "text", text)
    usage = Usage(lambda: read(str(tmp_path), None))
    usage.look_now()
    assert usage.peak_memory == 200 * MIB
