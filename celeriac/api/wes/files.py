"""The files of a run for its caller: its tools' logs, and its outputs. Nothing else of this host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from fastapi import Response
from fastapi.responses import StreamingResponse

from celeriac.api.errors import HttpError
from celeriac.api.files import open_below, response
from celeriac.api.service import Service
from celeriac.api.wes.logs import Words
from celeriac.job.place import Place
from celeriac.journal import runs, views
from celeriac.states import RunState

TEXT = "text/plain; charset=utf-8"
_PIECE = 1 << 18
_PORTION = 500


def task_log_file(service: Service, run: Any, task: Any, stream: str, wanted: str | None) -> Response:
    """Return what one try to run a tool printed; an empty text where it has printed nothing yet."""
    place = _place(service, run, task)
    file = open_below(place.root, getattr(place, stream).name)
    if file is not None:
        return response(file, wanted, media=TEXT)
    if task.ended is not None and task.exit_code is not None and not place.root.is_dir():
        raise HttpError(404, "the log is gone: the run's files were removed")
    return Response(b"", media_type=TEXT)


def run_log_text(service: Service, run: Any, stream: str, words: Words) -> Response:
    """Return what all tools of a run printed, each under its name; at the end of stderr, why the run failed."""

    def pieces() -> Iterator[bytes]:
        after: tuple[float, str] | None = None
        while True:
            with service.engine.database.read() as connection:
                rows = views.attempts_page(connection, run.id, _PORTION, after)
            for task in rows:
                yield from _one(service, run, task, stream)
            if len(rows) < _PORTION:
                break
            after = rows[-1].created, rows[-1].id
        if stream == "stderr" and run.state == RunState.FAILED and run.error:
            yield f"{words(run.error)}\n".encode()

    return StreamingResponse(pieces(), media_type=TEXT, headers={"X-Content-Type-Options": "nosniff"})


def _one(service: Service, run: Any, task: Any, stream: str) -> Iterator[bytes]:
    if task.started is None or task.reused is not None:
        return
    place = _place(service, run, task)
    file = open_below(place.root, getattr(place, stream).name)
    if file is None:
        return
    with file:
        first = file.read(_PIECE)
        if first and task.path:
            again = f" (attempt {task.number})" if task.number > 1 else ""
            yield f"== {task.path}{again}\n".encode()
        while first:
            last = first
            yield first
            first = file.read(_PIECE)
            if not first and not last.endswith(b"\n"):
                yield b"\n"


def run_output(service: Service, run: Any, path: str, wanted: str | None) -> Response:
    """Return a file of a run's output directory."""
    known = not path.startswith("/") and ".." not in path.split("/") and _is_output(service, run, path)
    file = open_below(service.outputs(run), path) if known else None
    if file is None:
        raise HttpError(404, "there is no such output")
    return response(file, wanted, media="application/octet-stream", name=path.rpartition("/")[2])


def _is_output(service: Service, run: Any, path: str) -> bool:
    """Whether a run published a file there: a directory that was named for it holds other files, too."""
    if not service.engine.options(run.id, run.options).outdir:
        return True
    wanted = str(service.outputs(run) / path)
    with service.engine.database.read() as connection:
        found = runs.outputs(connection, run.id)
    return any(wanted == place or wanted.startswith(f"{place}/") for place in _places(found))


def _places(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for part in value:
            yield from _places(part)
    elif isinstance(value, dict):
        location = value.get("location")
        if value.get("class") in ("File", "Directory") and isinstance(location, str):
            yield unquote(location.removeprefix("file://"))
        for part in value.values():
            yield from _places(part)


def _place(service: Service, run: Any, task: Any) -> Place:
    options = service.engine.options(run.id, run.options)
    directory = task.directory or service.engine.place(run.id, task.path, task.id, options)
    return Place(Path(directory))
