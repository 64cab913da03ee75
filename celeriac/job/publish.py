"""Put a run's outputs where the user wants them: all of them, or none."""

from __future__ import annotations

import functools
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cwltool.pathmapper import PathMapper
from cwltool.process import compute_checksums, stage_files
from cwltool.utils import adjustDirObjs, normalizeFilesDirs, visit_files, visit_files_directories
from schema_salad.ref_resolver import file_uri, uri_file_path

from celeriac.container.disk import is_full, no_room
from celeriac.errors import StepFailed
from celeriac.failpoints import Reach, nothing
from celeriac.job.fence import Fence, fenced
from celeriac.job.stage import check_targets
from celeriac.job.trees import Guard, copy_file, copy_tree, entries
from celeriac.job.watch import Check, WatchedAccess, never


def publish(
    outputs: dict[str, Any],
    outdir: Path,
    scratch: Path,
    name: str,
    *,
    checksums: bool,
    reach: Reach = nothing,
    check: Check = never,
    fence: Fence | None = None,
) -> dict[str, Any]:
    """Return the outputs with their new locations, after everything was put under ``outdir``.

    The outputs are changed in place: those of a large scatter are not held twice. Files of the run's own
    directory (``scratch``) are linked where that is possible, so that nothing is read twice; others are
    copied. All is prepared beside its place and then renamed into it. ``check`` is called
    meanwhile; where it raises, nothing is left. What lies outside of a ``fence`` is not published:
    :class:`~celeriac.errors.AccessError`.
    """
    result = outputs
    guard = None
    if fence is not None:
        fence.value(result, "")
        fence.output(str(outdir))
        guard = fence.entry
    adjustDirObjs(result, functools.partial(_list, guard=guard))
    found = list(_objects(result))
    if not found:
        return result
    waiting = outdir / f".celeriac-{name}"
    try:
        outdir.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(waiting, ignore_errors=True)
        waiting.mkdir()
        real = real_paths()
        visit_files_directories(found, functools.partial(_real_location, real))
        kind = PathMapper if fence is None else fenced(PathMapper, fence, check)
        mapper = kind(found, "", str(waiting), separateDirs=False)
        check_targets(mapper, str(waiting))
        give_own_names(mapper)
        stage_files(mapper, stage_func=_placer(scratch, real, check, guard), symlink=False)
        _relocate(result, mapper, waiting, outdir)
        _refuse(str(waiting), str(outdir))
        check()
        for entry in sorted(os.listdir(waiting)):
            reach("rename.before")
            _move(f"{waiting}/{entry}", f"{outdir}/{entry}")
            reach("rename.after")
    except OSError as error:
        if is_full(error):
            raise no_room(f"the outputs can't be written to {outdir}", outdir) from error
        raise StepFailed(
            f"the outputs can't be written to {outdir}: {error.strerror or error}",
            hint="is there room, and may you write there?",
        ) from error
    finally:
        shutil.rmtree(waiting, ignore_errors=True)
    if checksums:
        files = WatchedAccess("", check)
        visit_files(result, lambda file: compute_checksums(files, file))
    return result


def _list(directory: Any, above: frozenset[str] = frozenset(), guard: Guard | None = None) -> None:
    """Give a directory its listing, as :func:`~celeriac.job.trees.entries` has it."""
    if "listing" in directory or not directory["location"].startswith(("file:", "/")):
        return
    location = directory["location"]
    path = os.path.realpath(uri_file_path(location) if location.startswith("file:") else location)
    above |= {path}
    directory["listing"] = []
    for name, kind, _ in entries(path, above, guard):
        entry = {"class": kind, "location": file_uri(os.path.join(path, name)), "basename": name}
        directory["listing"].append(entry)
        if kind == "Directory":
            _list(entry, above, guard)


def _objects(value: Any) -> Any:
    if isinstance(value, dict):
        if value.get("class") in ("File", "Directory"):
            yield value
        else:
            for part in value.values():
                yield from _objects(part)
    elif isinstance(value, list):
        for part in value:
            yield from _objects(part)


def give_own_names(mapper: PathMapper) -> None:
    """Give each of several files of one name a number, the lowest from 2 that is free.

    The names are those that cwltool's ``stage_files(fix_conflicts=True)`` gives; but that one begins to count anew
    for each file, which takes a minute for some ten thousand of a scatter.
    """
    targets: dict[str, str] = {}
    counts: dict[str, int] = {}
    for key, entry in list(mapper.items()):
        if entry.type is None or "File" not in entry.type:
            continue
        if targets.setdefault(entry.target, entry.resolved) == entry.resolved:
            continue
        number = counts.get(entry.target, 2)
        while (target := f"{entry.target}_{number}") in targets:
            number += 1
        counts[entry.target] = number + 1
        targets[target] = entry.resolved
        mapper.update(key, entry.resolved, target, entry.type, entry.staged)


def real_paths() -> Callable[[str], str]:
    """Return what gives a path as ``os.path.realpath`` does, and looks at a directory that comes again once."""

    @functools.lru_cache(maxsize=64)
    def directory(path: str) -> str:
        return real(path)

    def real(path: str) -> str:
        above, name = os.path.split(path)
        if name in ("", ".", ".."):
            return os.path.realpath(path)
        found = os.path.join(directory(above), name)
        return os.path.realpath(path) if os.path.islink(found) else found

    return real


def _real_location(real: Callable[[str], str], item: Any) -> None:
    location = item["location"]
    if location.startswith("file:"):
        item["location"] = file_uri(real(uri_file_path(location)))
    elif location.startswith("/"):
        item["location"] = real(location)


def _placer(
    scratch: Path, real: Callable[[str], str], check: Check, guard: Guard | None = None
) -> Callable[[str, str], None]:
    own = os.path.realpath(scratch) + os.sep

    def place(source: str, target: str) -> None:
        source = real(source)
        if os.path.isdir(source):
            copy_tree(source, target, own, check, guard=guard)
        else:
            copy_file(source, target, own, check)

    return place


def _relocate(result: Any, mapper: PathMapper, waiting: Path, outdir: Path) -> None:
    prefix = str(waiting) + os.sep

    def adjust(item: Any) -> None:
        target = mapper.mapper(item["location"]).target
        if target.startswith(prefix):
            target = str(outdir / target[len(prefix) :])
        item["location"] = file_uri(target)
        item["basename"] = os.path.basename(target)
        if item["class"] == "File":
            item.pop("contents", None)

    visit_files_directories(result, adjust)


def _move(source: str, target: str) -> None:
    if _is_directory(source):
        if _is_directory(target):
            for entry in sorted(os.listdir(source)):
                _move(f"{source}/{entry}", f"{target}/{entry}")
            return
        if os.path.lexists(target):
            os.unlink(target)
    os.replace(source, target)


def _is_directory(path: str) -> bool:
    """Whether there is a directory, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _refuse(source: str, target: str) -> None:
    """Raise :class:`~celeriac.errors.StepFailed` where a file would take the place of a directory."""
    for entry in sorted(set(os.listdir(source)).intersection(os.listdir(target))):
        new, old = f"{source}/{entry}", f"{target}/{entry}"
        if not _is_directory(old):
            continue
        if os.path.isdir(new):
            _refuse(new, old)
        else:
            raise StepFailed(
                f"the output {old} is a file, but there is a directory of that name",
                hint="move it away, or take another output directory",
            )


def printable(outputs: dict[str, Any]) -> dict[str, Any]:
    """Make the outputs what a CWL runner prints: with paths, without what is derived. In place."""
    normalizeFilesDirs(outputs)

    def adjust(item: Any) -> None:
        for key in ("path", "nameext", "nameroot", "dirname", "http://commonwl.org/cwltool#generation"):
            item.pop(key, None)
        if item["location"].startswith("file://"):
            item["path"] = uri_file_path(item["location"])

    visit_files_directories(outputs, adjust)
    return outputs
