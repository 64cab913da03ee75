"""The journal's tables (SQLAlchemy Core). ``migrations/`` brings a database to them.

Times are seconds since the epoch by the database's clock. JSON columns hold CWL values.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

#: A row of any query.
Record = Row[*tuple[Any, ...]]

#: A CWL value; Python's None is SQL's NULL.
Value = JSON(none_as_null=True)

documents = Table(
    "documents",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("body", Text, nullable=False),  # the snapshot
    Column("created", Float, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),  # the document's file name, for people
    Column("document", String(64), nullable=False),  # documents.hash
    Column("state", String(16), nullable=False),
    Column("inputs", Value, nullable=False),
    Column("options", Value, nullable=False),  # of the submitter: outdir, on_error, ...
    Column("queues", Value, nullable=False),  # the queue file as it was at the submit: the run keeps to it
    Column("outputs", Value),
    Column("error", Value),  # why it failed: CeleriacError.to_dict
    Column("stopping", Boolean, nullable=False, default=False),  # a step failed: start nothing new
    Column("reply", Value),  # the Celery task that waits for the result
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Column("keeper", String(128)),  # the process that alone looks after it; None: the workers
    Column("opened", Float),  # when `celeriac retry` opened it again, the last time
    Column("caller", String(255)),  # who submitted it over HTTP; None: somebody with the settings in hand
    Column("workflow", String(255)),  # the workflow's name in the folder that it was asked for from (dag_id)
    Column("request", Value),  # what was asked for over HTTP, as it is shown again
    Index("runs_by_state", "state"),
    Index("runs_by_time", "created"),
    Index("runs_by_caller", "caller", "created"),
    Index("runs_by_workflow", "workflow", "created"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("run_id", String(64), nullable=False),
    Column("path", Text, nullable=False),  # "", "align", "align[3]", "align[3]/sort"
    Column("parent", Text),  # None: the root
    Column("step", Text, nullable=False),  # the step path, no indexes: "align/sort"
    Column("kind", String(16), nullable=False),  # job, workflow, scatter
    Column("idx", Integer),  # number among the items of a scatter
    Column("state", String(16), nullable=False),
    Column("inputs", Value),  # of an item: only what differs from its scatter's
    Column("outputs", Value),  # of a scatter or workflow; a job's are with its attempt
    Column("attempt", String(36)),  # the current attempt's id
    Column("remaining", Integer),  # parts that have not ended
    Column("failed", Integer),  # parts that failed
    Column("shape", Value),  # of a scatter
    Column("seconds", Float),  # of a scatter: what its last items took
    Column("error", Value),
    Column("created", Float, nullable=False),
    Column("ended", Float),
    PrimaryKeyConstraint("run_id", "path"),
    Index("nodes_by_state", "run_id", "state"),
    Index("nodes_by_parent", "run_id", "parent", "state", "idx"),
)

#: Few attempts take another's outputs.
_REUSED = text("reused IS NOT NULL")

attempts = Table(
    "attempts",
    metadata,
    Column("id", String(36), primary_key=True),  # the execute task's id
    Column("run_id", String(64), nullable=False),
    Column("path", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("queue", String(128), nullable=False),
    Column("batch", String(36)),  # the chord that it went out in
    Column("lane", Integer, nullable=False, default=0),  # 0: the run's share, served first; 1: the rest
    Column("tool", Text),  # the tool's name, for what it is known to use
    Column("asked", Value),  # what the step asks for: resources.Ask
    Column("granted", Value),  # what it has: cpus, ram, gpus; None: it takes no slot
    Column("outcome", String(16)),
    Column("cause", String(16)),  # why it brought nothing: scheduler.retry.Cause
    Column("due", Float),  # it must not start before: a pause after the last attempt's failure
    Column("key", String(64)),  # what its outputs follow from: equal keys, equal outputs
    Column("parts", Value),  # what the key was made of: name -> digest; "": a remark on why it was not reused
    Column("reused", String(36)),  # the attempt whose outputs it took
    Column("exit_code", Integer),
    Column("outputs", Value),
    Column("error", Value),
    Column("owner", String(128)),  # the process that claimed it
    Column("host", String(255)),
    Column("lease", Float),  # till when the owner is taken for alive
    Column("directory", Text),
    Column("command", Value),  # what its tool was called with, of a run over HTTP
    Column("peak_memory", Integer),  # MiB
    Column("cpu_seconds", Float),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("ended", Float),
    Index("attempts_by_run", "run_id", "state"),
    Index("attempts_by_lease", "state", "lease"),
    Index("attempts_by_due", "due"),
    Index("attempts_by_key", "key", "path"),
    Index("attempts_by_reused", "reused", sqlite_where=_REUSED),
)


def finish_for_postgresql() -> None:
    """Add what only PostgreSQL's tables are told: to say it above would load its dialect for SQLite, too."""
    for index in attempts.indexes:
        if index.name == "attempts_by_reused":
            index.dialect_kwargs["postgresql_where"] = _REUSED


#: An attempt with its node and its run.
IN_NODE = attempts.join(runs, runs.c.id == attempts.c.run_id).join(
    nodes, (nodes.c.run_id == attempts.c.run_id) & (nodes.c.path == attempts.c.path)
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run_id", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # chain, chord, advance, reply
    Column("payload", Value, nullable=False),
    Column("created", Float, nullable=False),
    Index("outbox_by_run", "run_id"),
    Index("outbox_by_time", "created"),
    sqlite_autoincrement=True,
)

locks = Table(
    "locks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("until", Float, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("name", String(255), primary_key=True),  # Celery's: celery@host
    Column("host", String(255), nullable=False),
    Column("budget", Value, nullable=False),  # what the host may give: cpus, ram, gpus
    Column("slots", Integer, nullable=False),  # the most steps at once
    Column("queues", Value, nullable=False),  # queue -> how many of its steps the host holds at once
    Column("seen", Float, nullable=False),
)

digests = Table(
    "digests",
    metadata,
    Column("host", String(255), nullable=False),
    Column("path", Text, nullable=False),
    Column("stamp", Text, nullable=False),  # size, inode and time of change: another one, another content
    Column("digest", String(64), nullable=False),
    Column("seen", Float, nullable=False),
    PrimaryKeyConstraint("host", "path"),
)

results = Table(
    "results",
    metadata,
    Column("key", Text, primary_key=True),  # Celery's: celery-task-meta-TASK, chord-unlock-GROUP, ...
    Column("value", Text, nullable=False),  # a result's JSON, or the count of a chord's parts
    Column("expires", Float),  # None: never
    Index("results_by_expiry", "expires"),
)

#: What listeners are to be told, written in the commit of what it tells. Delivered ones are deleted.
notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),  # those of a run go out in this order
    Column("run_id", String(64), nullable=False),
    Column("route", String(16), nullable=False),  # progress, status, results, weblog
    Column("target", Text, nullable=False),  # the listener's URL; "": the one of the settings
    Column("payload", Value, nullable=False),
    Column("signed", Boolean, nullable=False),  # there was a key where it was written: it never goes out unsigned
    Column("key", String(36), nullable=False),  # the same at every try: who got it before can tell
    Column("tries", Integer, nullable=False, default=0),
    Column("due", Float, nullable=False),  # the next try, not before
    Column("dead", Boolean, nullable=False, default=False),  # given up; `celeriac notify replay` sends it again
    Column("error", Text),  # what went wrong the last time
    Column("created", Float, nullable=False),
    Index("notices_by_run", "run_id", "id"),
    Index("notices_by_due", "dead", "due"),
    sqlite_autoincrement=True,
)

#: Tokens that were used, till they expire: none is taken twice.
tokens = Table(
    "tokens",
    metadata,
    Column("jti", String(255), primary_key=True),
    Column("expires", Float, nullable=False),
    Index("tokens_by_expiry", "expires"),
)

keys = Table(
    "api_keys",
    metadata,
    Column("name", String(255), primary_key=True),  # the caller's
    Column("digest", String(64), nullable=False, unique=True),  # SHA-256 of the key: it is random and long
    Column("scopes", Value, nullable=False),
    Column("created", Float, nullable=False),
)

#: Orders to stop a run that came by the route of CWL-Airflow (`clean_dag_run`): asked for again by their own ids.
stops = Table(
    "stops",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("run_id", Text, nullable=False),  # the order's own, as its caller named it
    Column("caller", String(255)),
    Column("target", String(64)),  # runs.id; None: there was none
    Column("created", Float, nullable=False),
    Index("stops_by_time", "created"),
)
