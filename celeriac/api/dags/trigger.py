"""Start and stop runs, and take in workflows, as clients of CWL-Airflow ask for it."""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celeriac.api.auth import Caller
from celeriac.api.dags import job, names
from celeriac.api.errors import HttpError, shown, status_of
from celeriac.api.service import Service
from celeriac.api.wes.submit import document, send
from celeriac.document.outside import Outside
from celeriac.engine.cancel import cancel
from celeriac.engine.submit import Origin, check, submit
from celeriac.errors import BrokerUnavailable, CeleriacError, InputError, NotFoundError
from celeriac.journal import runs, stops
from celeriac.journal.tables import Record
from celeriac.states import RUN_ENDED

#: Runs that one client may have of one name, one after the other.
_AGAIN = 1000


@dataclass(frozen=True)
class Wanted:
    """A run that is asked for."""

    workflow: str
    run: str
    conf: dict[str, Any]


def trigger(service: Service, caller: Caller, wanted: Wanted, *, again: bool = False) -> str:
    """Submit a run; returns its id in the journal. ``again``: there may be one of that name, which is stopped.

    Raises a 409 for a name that is taken, and what is wrong with the job.
    """
    folder, found = _workflow(service, wanted.workflow)
    number = _next(service, caller, wanted) if again else 0
    identifier = names.identifier(wanted.workflow, wanted.run, number)
    with service.engine.database.read() as connection:
        taken = runs.short(connection, identifier) is not None
    access = service.access(identifier)
    try:
        if taken:
            raise _taken(wanted)
        values, options = job.job(wanted.conf, access, service.usual_outside(folder, access), folder)
        submission = check(service.engine, str(found), None, options, values)
        origin = Origin(caller.name, wanted.workflow, {"run_id": wanted.run})
        run, messages = submit(service.engine, submission, run=identifier, origin=origin)
        if not messages:
            raise _taken(wanted)
    except CeleriacError as error:
        raise HttpError(status_of(error), shown(error, service.places)) from error
    send(service, run, messages)
    return run


def _taken(wanted: Wanted) -> HttpError:
    return HttpError(409, f"there is a run {wanted.run!r} of {wanted.workflow} already: another run_id was expected")


def _workflow(service: Service, name: str) -> tuple[Path, Path]:
    folder = service.workflows
    found = document(folder, name)
    if folder is None or found is None:
        raise NotFoundError(f"there is no workflow {name!r}", hint="GET /api/experimental/dags lists them")
    return folder, found


def _next(service: Service, caller: Caller, wanted: Wanted) -> int:
    """Stop the run of that name that is open, and return the number of the next."""
    for number in range(_AGAIN):
        row = _of(service, names.identifier(wanted.workflow, wanted.run, number))
        if row is None:
            return number
        if caller.sees is not None and row.caller != caller.sees:
            raise _taken(wanted)
        if row.state not in RUN_ENDED:
            _cancel(service, row.id, caller)
    raise _taken(wanted)


def _of(service: Service, identifier: str) -> Record | None:
    with service.engine.database.read() as connection:
        return runs.seen(connection, identifier)


def _cancel(service: Service, run: str, caller: Caller) -> None:
    with suppress(BrokerUnavailable):  # it is cancelled; who waits for it is told by the scan
        cancel(service.engine, run, f"{caller.name or 'somebody'} asked for it over HTTP")


def stop(service: Service, caller: Caller, order: str, conf: dict[str, Any]) -> None:
    """Stop the run that ``conf`` names (`remove_dag_id`, `remove_run_id`), if there is one; the order is kept.

    Raises a 409 where there is such an order already.
    """
    given = {**conf, **conf["job"]} if isinstance(conf.get("job"), dict) else conf
    workflow, run = names.workflow(given.get("remove_dag_id")), names.run(given.get("remove_run_id"))
    target = newest(service, caller, workflow, run)
    with service.engine.database.begin() as connection:
        identifier = names.identifier(names.STOP, order)
        new = stops.add(connection, id=identifier, run_id=order, caller=caller.name, target=target)
    if not new:
        raise _taken(Wanted(names.STOP, order, {}))
    if target is not None:
        _cancel(service, target, caller)


def newest(service: Service, caller: Caller, workflow: str, run: str) -> str | None:
    """Return the id of the last run of that name which the caller may see; None: there is none."""
    found = None
    for number in range(_AGAIN):
        row = _of(service, names.identifier(workflow, run, number))
        if row is None:
            break
        found = row.id if caller.sees in (None, row.caller) else found
    return found


def add(service: Service, caller: Caller, name: str, text: str) -> Path:
    """Take a workflow into the folder, once it is right; returns its path.

    One of the same name stays, unless it is the same or an admin replaces it: others run it. Raises a 409.
    """
    folder = service.workflows
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
