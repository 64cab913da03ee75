"""Submit a run: what is wrong with it is said here, before anything is written or started."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from celeriac.document import inputs as jobs
from celeriac.document.document import Document
from celeriac.engine import secret
from celeriac.errors import AccessError, UnsupportedError
from celeriac.graph.model import Kind
from celeriac.graph.secrets import secret_inputs
from celeriac.job.ask import static
from celeriac.job.options import RunOptions
from celeriac.job.secret import Secrets, hide
from celeriac.journal import outbox, runs
from celeriac.resources import QueueLimits
from celeriac.scheduler.placement import placement
from celeriac.settings import check_own_listener

if TYPE_CHECKING:
    from celeriac.engine.engine import Engine


@dataclass(frozen=True)
class Submission:
    """A run that is ready to be written. Its inputs have placeholders where values are secret."""

    document: Document
    inputs: dict[str, Any]
    options: RunOptions
    name: str
    queues: tuple[QueueLimits, ...]
    secrets: Secrets = field(default_factory=Secrets)  # its mask() is for what is kept or told of the request


#: Fields of a request that hold what its caller likes.
_FREE = ("workflow_params", "tags")


@dataclass(frozen=True)
class Origin:
    """Where a run came from, when it came over HTTP: the columns of these names."""

    caller: str | None = None
    workflow: str | None = None
    request: dict[str, Any] | None = None

    def columns(self, secrets: Secrets) -> dict[str, Any]:
        """Return them without secret values, which may stand in any text of the caller's; in names they can't."""
        request = self.request and {
            name: secrets.mask(value) if name in _FREE else value for name, value in self.request.items()
        }
        return {"caller": self.caller, "workflow": self.workflow, "request": request}


def check(
    engine: Engine,
    document: str,
    job: jobs.Job | None,
    options: RunOptions,
    values: Mapping[str, Any] | None = None,
    targets: Sequence[str] = (),
) -> Submission:
    """Load and validate the document and its inputs; raises a :class:`~celeriac.errors.UserError`.

    Give a ``job`` that was read, or plain ``values``. With an access among the options, what it does not allow
    is refused: an :class:`~celeriac.errors.AccessError`.
    """
    if options.notify:
        if options.access is not None:
            raise AccessError("a run from outside can't name a listener", hint="the operator's is told of it")
        check_own_listener(options.notify, "the run's listener")
    if options.access is not None:
        assert job is None, "a job from outside is read by its rules: give its values"
        return _check_outside(engine, document, options, values or {}, targets)
    if job is None:
        job = jobs.from_mapping(values or {}, document_uri(document), options.basedir or None)
    loaded = engine.documents.load(document, job.overrides, targets)
    queues = tuple(engine.queues)
    _check_graph(loaded, queues, engine.limited)
    inputs = jobs.initialise(loaded, job, options.eval_timeout)
    return _submission(loaded, inputs, replace(options, basedir=job.basedir), document, queues)


def _check_outside(
    engine: Engine, document: str, options: RunOptions, values: Mapping[str, Any], targets: Sequence[str]
) -> Submission:
    from celeriac.engine import outside

    checked = outside.Checked(engine.settings, options)
    job = checked.job(values, document_uri(document))
    loaded = engine.documents.load(document, job.overrides, targets, outside=checked.rules)
    queues = tuple(engine.queues)
    _check_graph(loaded, queues, engine.limited)
    checked.tools(loaded)
    inputs = jobs.initialise(loaded, job, checked.options.eval_timeout, checked.files)
    return _submission(loaded, inputs, replace(checked.options, basedir=job.basedir), document, queues)


def _submission(
    loaded: Document, inputs: dict[str, Any], options: RunOptions, document: str, queues: tuple[QueueLimits, ...]
) -> Submission:
    name = os.path.basename(document.partition("#")[0]) or "workflow"
    names = secret_inputs(loaded.graph)
    if not names:
        return Submission(loaded, inputs, options, name, queues)
    hidden, found = hide(inputs, sorted(names))
    return Submission(loaded, hidden, replace(options, secrets=tuple(found.values)), name, queues, found)


def document_uri(reference: str) -> str:
    """Return the URI that overrides of a job file are about."""
    path, hash_, fragment = reference.partition("#")
    if "://" in reference:
        return reference
    return "file://" + os.path.abspath(path) + hash_ + fragment


def _check_graph(document: Document, queues: Sequence[QueueLimits], limited: bool) -> None:
    for path, process in document.graph.walk():
        title = path or process.name
        if process.kind is Kind.OPERATION:
            raise UnsupportedError(
                f"'{title}' is an Operation, which says what goes in and out but not how: it can't be run",
                hint="give the step a CommandLineTool, an ExpressionTool or a Workflow",
            )
        wanted = static(process, title) if process.kind in (Kind.TOOL, Kind.EXPRESSION) else None
        if wanted is not None:
            placement(wanted, queues, limited=limited, step=title)


def submit(
    engine: Engine,
    submission: Submission,
    *,
    reply: dict[str, Any] | None = None,
    run: str | None = None,
    origin: Origin | None = None,
) -> tuple[str, list[tuple[int, Any]]]:
    """Write a run into the journal; once this returned, it is durable.

    Returns its id, and the message that starts it: give it to :meth:`Engine.send`, or call ``advance``.
    A ``run`` that is there already was submitted before: it stays as it is, and there is no message.
    """
    name = run or secrets.token_hex(6)
    snapshot = submission.document.snapshot
    with engine.database.begin() as connection:
        runs.put_document(connection, snapshot.hash, snapshot.body)
        new = runs.add(
            connection,
            id=name,
            name=submission.name,
            document=snapshot.hash,
            inputs=submission.inputs,
            options=submission.options.to_json(),
            queues=[queue.to_json() for queue in submission.queues],
            reply=reply,
            keeper=engine.keeper,
            **(origin or Origin()).columns(submission.secrets),
        )
        if new and submission.secrets.values:
            secret.keep(engine, name, submission.secrets)
        messages: list[Any] = [("advance", {})] if new else []
        numbers = outbox.add(connection, name, messages)
    if engine.fair:  # an embedded run ends with its command: there is nothing to come back to
        engine.database.flush()
    if not new and run is None:
        return submit(engine, submission, reply=reply, origin=origin)
    return name, list(zip(numbers, messages, strict=True))
