"""Start and stop runs, and take in workflows, as clients of CWL-Airflow ask for it."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from celeriac.api.auth import Caller
from celeriac.api.dags import job, named, names
from celeriac.api.dags.door import Use
from celeriac.api.door import lacking
from celeriac.api.errors import HttpError, shown, status_of
from celeriac.api.service import Service
from celeriac.api.wes.submit import document, send
from celeriac.document.outside import Outside
from celeriac.engine.cancel import cancel
from celeriac.engine.submit import Origin, Submission, check, submit
from celeriac.errors import BrokerUnavailable, CeleriacError, InputError, NotFoundError
from celeriac.journal import runs, stops
from celeriac.states import RUN_ENDED, RunState


@dataclass(frozen=True)
class Wanted:
    """A run that is asked for."""

    workflow: str
    run: str
    conf: dict[str, Any]


def new_workflow() -> str:
    """Return a name for a workflow that came without one."""
    return f"dag_{secrets.token_hex(8)}"


def new_run() -> str:
    """Return a name for a run that came without one."""
    return f"manual__{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}__{secrets.token_hex(4)}"


def trigger(service: Service, caller: Caller, wanted: Wanted, use: Use | None) -> str:
    """Submit a run; returns its id in the journal.

    ``use`` uses up the token of the order, once nothing is wrong with that. Raises a 409 for a name that is taken, and
    what is wrong with the job.
    """
    folder, found = _workflow(service, wanted.workflow)
    identifier = names.identifier(wanted.workflow, wanted.run)
    with service.engine.database.read() as connection:
        if runs.short(connection, identifier) is not None:
            raise _taken(wanted)
    submission = _checked(service, wanted, identifier, folder, found)
    _use(service, use)
    return _submit(service, caller, wanted, identifier, submission)


def trigger_again(service: Service, caller: Caller, wanted: Wanted, text: str, use: Use | None) -> str:
    """Take a workflow in and submit a run of it; those of that name which are open are stopped.

    Raises as :func:`add` and :func:`trigger`, and a 403 for a caller who may not stop what would have to be stopped.
    """
    identifier, open_ = _next(service, caller, wanted)
    if open_ and not caller.may("cancel"):
        raise lacking("cancel")
    add(service, caller, wanted.workflow, text)
    folder, found = _workflow(service, wanted.workflow)
    submission = _checked(service, wanted, identifier, folder, found)
    _use(service, use)  # before anything is stopped: whoever repeats an order must not stop the run that it started
    for run in open_:
        _cancel(service, run, caller)
    return _submit(service, caller, wanted, identifier, submission)


def _checked(service: Service, wanted: Wanted, identifier: str, folder: Path, found: Path) -> Submission:
    access = service.access(identifier)
    with _told(service):
        values, options = job.job(wanted.conf, access, service.usual_outside(folder, access), folder)
        return check(service.engine, str(found), None, options, values)


def _use(service: Service, use: Use | None) -> None:
    if use is not None:
        with service.engine.database.begin() as connection:
            use(connection)


def _submit(service: Service, caller: Caller, wanted: Wanted, identifier: str, submission: Submission) -> str:
    origin = Origin(caller.name, wanted.workflow, {"run_id": wanted.run})
    with _told(service):
        run, messages = submit(service.engine, submission, run=identifier, origin=origin)
    if not messages:
        raise _taken(wanted)
    send(service, run, messages)
    return run


@contextmanager
def _told(service: Service) -> Iterator[None]:
    """Errors are told without the directories of this host."""
    try:
        yield
    except CeleriacError as error:
        raise HttpError(status_of(error), shown(error, service.places)) from error


def _taken(wanted: Wanted) -> HttpError:
    return HttpError(409, f"there is a run {wanted.run!r} of {wanted.workflow} already: another run_id was expected")


def _workflow(service: Service, name: str) -> tuple[Path, Path]:
    folder = service.workflows
    found = document(folder, name)
    if folder is None or found is None:
        raise NotFoundError(f"there is no workflow {name!r}", hint="GET /api/experimental/dags lists them")
    return folder, found


def _next(service: Service, caller: Caller, wanted: Wanted) -> tuple[str, list[str]]:
    """Return the id of the next run of a name, and the ids of those before it that have to be stopped."""
    with service.engine.database.read() as connection:
        rows = named.find(connection, wanted.run, [wanted.workflow])
    if any(caller.sees not in (None, row.caller) for row in rows):
        raise _taken(wanted)
    known = {row.id for row in rows}
    identifier = next((one for one in named.identifiers(wanted.workflow, wanted.run) if one not in known), None)
    if identifier is None:
        raise _taken(wanted)
    return identifier, [row.id for row in rows if row.state not in (*RUN_ENDED, RunState.CANCELING)]


def _cancel(service: Service, run: str, caller: Caller) -> None:
    with suppress(BrokerUnavailable):  # it is cancelled; who waits for it is told by the scan
        cancel(service.engine, run, f"{caller.name or 'somebody'} asked for it over HTTP")


def stop(service: Service, caller: Caller, order: str, conf: dict[str, Any], use: Use | None) -> None:
    """Stop the run that ``conf`` names (`remove_dag_id`, `remove_run_id`), if there is one; the order is kept.

    Raises a 409 where there is such an order already.
    """
    given = {**conf, **conf["job"]} if isinstance(conf.get("job"), dict) else conf
    workflow, run = names.workflow(given.get("remove_dag_id")), names.run(given.get("remove_run_id"))
    target = newest(service, caller, workflow, run)
    with service.engine.database.begin() as connection:
        if use is not None:
            use(connection)
        identifier = names.identifier(names.STOP, order)
        if not stops.add(connection, id=identifier, run_id=order, caller=caller.name, target=target):
            raise _taken(Wanted(names.STOP, order, {}))  # and the token was not used
    if target is not None:
        _cancel(service, target, caller)


def newest(service: Service, caller: Caller, workflow: str, run: str) -> str | None:
    """Return the id of the last run of that name which the caller may see; None: there is none."""
    with service.engine.database.read() as connection:
        rows = named.find(connection, run, [workflow])
    return next((row.id for row in rows if caller.sees in (None, row.caller)), None)


def add(service: Service, caller: Caller, name: str, text: str) -> Path:
    """Take a workflow into the folder, once it is right; returns its path.

    One of the same name stays, unless it is the same or an admin replaces it: others run it. Raises a 409.
    """
    folder = service.workflows
    if name == names.STOP:
        raise InputError(f"dag_id is {name!r}, by which runs are stopped: another dag_id was expected")
    if folder is None:
        raise HttpError(403, "this service takes no workflows: its operator has not set CELERIAC_API_WORKFLOWS")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}.cwl"
    handle, aside = tempfile.mkstemp(prefix=f".{secrets.token_hex(4)}-", suffix=".cwl", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(aside, 0o644)
        _right(service, aside, name)
        _place(aside, target, text, replace=caller.may("admin"))
    finally:
        with suppress(FileNotFoundError):
            os.unlink(aside)
    return target


def _right(service: Service, path: str, name: str) -> None:
    try:
        service.engine.documents.load(path, outside=Outside(service.access("")))
    except CeleriacError as error:
        places = {path: f"the workflow {name}", **service.places}
        message = shown(error, places).replace(os.path.basename(path), f"{name}.cwl")
        raise HttpError(status_of(error), message) from error


def _place(aside: str, target: Path, text: str, *, replace: bool) -> None:
    if replace:
        os.replace(aside, target)
        return
    try:
        os.link(aside, target)  # unlike a rename it takes nobody's place
    except FileExistsError as error:
        if target.read_text("utf-8") != text:
            message = f"there is another workflow {target.stem!r} already: another dag_id was expected"
            raise HttpError(409, message) from error


def listed(service: Service, wanted: str | None) -> list[str]:
    """Return the names of the workflows, or those of ``wanted`` (commas between) that are there."""
    folder = service.workflows
    try:
        found = [] if folder is None else sorted(path.stem for path in folder.glob("*.cwl") if path.name[0] != ".")
    except OSError as error:
        raise InputError("the folder of workflows can't be read") from error
    if not wanted:
        return found
    asked = {name.strip() for name in wanted.split(",")}
    return [name for name in found if name in asked]
