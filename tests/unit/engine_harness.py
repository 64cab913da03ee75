"""An engine in this process: a real journal, messages that a test delivers as it likes, tools that are functions.

:class:`World` is the cluster's part: what was published lies in ``pending`` until the test delivers,
doubles or loses it. Time passes by :meth:`World.age`, which makes everything in the journal older.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select, text, update

from celeriac.container.base import CancelToken, Command
from celeriac.container.stub import StubRunner
from celeriac.engine import Engine
from celeriac.engine.advance import advance
from celeriac.engine.execute import execute, execute_and_go_on
from celeriac.engine.scan import scan
from celeriac.engine.submit import Submission, check, submit
from celeriac.errors import BrokerUnavailable
from celeriac.expression.evaluate import install
from celeriac.job.options import RunOptions
from celeriac.job.run import JobRunner, MemorySigns
from celeriac.journal import runs
from celeriac.journal.tables import Record, attempts, nodes
from celeriac.resources import QueueLimits
from celeriac.settings import Settings
from celeriac.slots import Slots
from celeriac.states import RUN_ENDED, RunState

QUEUES = (QueueLimits("default", cpus=1, ram=1024), QueueLimits("advanced", cpus=2, ram=2048))
LEASE = 1000.0
INTERVAL = 100.0

#: Plays every tool: gets the words of its command line after ``true``, returns the output object or
#: what it prints.
Play = Callable[[Sequence[str]], "Mapping[str, Any] | str"]


class Exit(Exception):
    """Raised by a :data:`Play`: the tool ends with a code other than 0, and says something before."""

    def __init__(self, code: int, said: str = "") -> None:
        self.code = code
        self.said = said


@dataclass
class Message:
    """One Celery message on its way; ``group`` is the chord that an execute belongs to."""

    run: str
    kind: str  # execute, settle, gather, advance, reply
    name: str = ""  # of the attempt or the batch
    names: tuple[str, ...] = ()  # of all attempts in it
    group: Group | None = None
    lane: int = 0


@dataclass
class Group:
    """A chord: its body goes out when so many parts have come."""

    run: str
    batch: str
    left: int


def add(words: Sequence[str]) -> Mapping[str, Any]:
    """Play a tool that adds the numbers it is given."""
    return {"out": sum(int(word) for word in words)}


@dataclass
class World:
    """One or more workers on one journal."""

    home: Path
    play: Play = add
    settings: Mapping[str, Any] = field(default_factory=dict)
    queues: Sequence[QueueLimits] | Callable[[], Sequence[QueueLimits]] = QUEUES
    slots: Slots | None = None  # None: without bounds
    limited: bool = True
    fair: bool = True
    pending: list[Message] = field(default_factory=list)
    sent: list[tuple[str, str, Any]] = field(default_factory=list)  # all that was ever published
    ended: list[str] = field(default_factory=list)  # runs that on_end told of
    started: list[str] = field(default_factory=list)  # attempts whose tool was started
    commands: list[Command] = field(default_factory=list)  # and their commands
    broker_is_down: bool = False
    broker_tells: bool = False  # whether it is empty
    token: CancelToken = field(default_factory=CancelToken)  # of the tool that was started last
    go_on: bool = False  # workers start what a plain step makes ready themselves
    takes: float | None = None  # seconds that each tool took, as the journal has it; None: what it did take

    def __post_init__(self) -> None:
        install()
        self._lock = threading.Lock()
        self.workers = [self.worker()]

    @property
    def engine(self) -> Engine:
        """The first worker's engine."""
        return self.workers[0]

    def worker(self, *, fair: bool | None = None, slots: Slots | None = None, **settings: Any) -> Engine:
        """Return one more worker's engine, with an owner's name of its own."""
        given = {"lease": LEASE, "scan_interval": INTERVAL, "retry_delay": 0.0, **self.settings, **settings}
        made = replace(Settings(home=self.home), **given)
        runner = StubRunner(self._behave)
        return Engine(
            made,
            lambda: self.queues() if callable(self.queues) else self.queues,
            self,
            JobRunner(lambda: runner, lambda: runner, MemorySigns(made.oom_codes, made.oom_words)),
            slots=slots or self.slots,
            limited=self.limited,
            fair=self.fair if fair is None else fair,
            on_end=self.ended.append,
        )

    def _behave(self, command: Command, cancel: CancelToken) -> int:
        with self._lock:
            self.started.append(command.name.removeprefix("celeriac-"))
            self.commands.append(command)
            self.token = cancel
        try:
            outputs = self.play(command.argv[1:])
        except Exit as ended:
            command.stderr.write_text(ended.said)
            return ended.code
        if isinstance(outputs, str):
            command.stdout.write_text(outputs)
        else:
            Path(command.workdir, "cwl.output.json").write_text(json.dumps(outputs))
        return 0

    # --- the publisher --------------------------------------------------------------------------

    def publish(self, run: str, kind: str, payload: dict[str, Any]) -> None:
        """Take a message, as the broker would."""
        if self.broker_is_down:
            raise BrokerUnavailable("the test's broker does not answer")
        with self._lock:
            self.sent.append((run, kind, payload))
            if kind == "chain":
                name = payload["attempt"]
                self.pending.append(Message(run, "execute", name, (name,), lane=payload["lane"]))
            elif kind == "chord":
                bundles = [tuple(bundle) for bundle in payload["bundles"]]
                group = Group(run, payload["batch"], len(bundles))
                self.pending += [Message(run, "execute", names[0], names, group, payload["lane"]) for names in bundles]
            else:
                self.pending.append(Message(run, kind))

    def is_empty(self, queue: str) -> bool:
        """Whether the broker has nothing, if a test says that it can tell."""
        return self.broker_tells and not self.pending

    # --- delivery -------------------------------------------------------------------------------

    def take(self, index: int = 0) -> Message:
        """Take a message off its way: not delivering it loses it."""
        with self._lock:
            return self.pending.pop(index)

    def deliver(self, message: Message, worker: Engine | None = None) -> None:
        """Do what a worker does that gets this message."""
        engine = worker or self.engine
        if message.kind == "execute":
            settled = False
            if self.go_on:
                settled = execute_and_go_on(engine, message.names).settled
            else:
                execute(engine, message.names)
            self._took(message.names)
            if not settled:
                self._follow(message)
        else:
            advance(engine, message.run)

    def _took(self, names: Sequence[str]) -> None:
        if self.takes is not None:
            statement = update(attempts).where(attempts.c.id.in_(names), attempts.c.ended.is_not(None))
            with self.engine.database.begin() as connection:
                connection.execute(statement.values(started=attempts.c.ended - self.takes))

    def _follow(self, message: Message) -> None:
        """Send what follows an execute: a chain's settle, or the body of a chord that is complete."""
        group = message.group
        with self._lock:
            if group is None:
                self.pending.append(Message(message.run, "settle", message.name))
                return
            group.left -= 1
            if group.left == 0:
                self.pending.append(Message(group.run, "gather", group.batch))

    def drain(self) -> None:
        """Deliver all there is, and what follows from it, oldest first."""
        while self.pending:
            self.deliver(self.take())

    # --- time -----------------------------------------------------------------------------------

    def age(self, seconds: float) -> None:
        """Let time pass: everything in the journal becomes older."""
        with self.engine.database.begin() as connection:
            for table, column in (
                ("attempts", "created"), ("attempts", "lease"), ("attempts", "due"),
                ("outbox", "created"), ("locks", "until"),
            ):  # fmt: skip
                connection.execute(text(f"UPDATE {table} SET {column} = {column} - :s"), {"s": seconds})

    def scan(self, seconds: float = LEASE + 10, worker: Engine | None = None) -> None:
        """Let time pass and then scan, as some worker does."""
        self.age(seconds)
        assert scan(worker or self.engine)

    def repair(self, run: str, times: int = 20) -> None:
        """Deliver and scan till a run has ended; fail when it never does."""
        for _ in range(times):
            self.drain()
            if self.over(run):
                return
            self.scan()
        raise AssertionError(f"run {run} is {self.run(run).state} and does not end: {self.table(run)}")

    # --- runs -----------------------------------------------------------------------------------

    def check(self, document: Path, inputs: Mapping[str, Any] | None = None, **options: Any) -> Submission:
        """Load a document and check its inputs. Nothing is reused unless a test asks: it counts what runs."""
        given = {"reuse": False, **options}
        return check(self.engine, str(document), None, RunOptions(**given), inputs or {})

    def submit(self, submission: Submission, reply: dict[str, Any] | None = None) -> str:
        """Submit a run; its first message is on its way."""
        run, messages = submit(self.engine, submission, reply=reply)
        self.engine.send(run, messages)
        return run

    def start(self, document: Path, inputs: Mapping[str, Any] | None = None, **options: Any) -> str:
        """Load, check and submit."""
        return self.submit(self.check(document, inputs, **options))

    def finished(self, document: Path, inputs: Mapping[str, Any] | None = None, **options: Any) -> Record:
        """Run to the end without disturbance; return the run's row."""
        run = self.start(document, inputs, **options)
        self.drain()
        row = self.run(run)
        assert RunState(row.state) in RUN_ENDED, self.table(run)
        return row

    # --- looking --------------------------------------------------------------------------------

    def run(self, run: str) -> Record:
        """Return a run's row."""
        with self.engine.database.read() as connection:
            row = runs.get(connection, run)
        assert row is not None
        return row

    def over(self, run: str) -> bool:
        """Whether a run has ended."""
        return RunState(self.run(run).state) in RUN_ENDED

    def nodes(self, run: str) -> dict[str, str]:
        """Return the states of a run's nodes."""
        with self.engine.database.read() as connection:
            found = connection.execute(select(nodes.c.path, nodes.c.state).where(nodes.c.run_id == run))
            return {row.path: row.state for row in found}

    def attempts(self, run: str, path: str | None = None) -> list[Record]:
        """Return the attempts of a run or of one node, by number."""
        statement = select(attempts).where(attempts.c.run_id == run)
        if path is not None:
            statement = statement.where(attempts.c.path == path)
        with self.engine.database.read() as connection:
            return list(connection.execute(statement.order_by(attempts.c.number, attempts.c.path)).all())

    def table(self, run: str) -> dict[str, Any]:
        """Return what a failed test should show of a run."""
        tries = [(a.path, a.number, a.state, a.outcome) for a in self.attempts(run)]
        return {"nodes": self.nodes(run), "attempts": tries, "error": self.run(run).error}


@contextmanager
def world(home: Path, play: Play = add, **settings: Any) -> Iterator[World]:
    """Yield a world on a fresh SQLite journal (or on ``journal_url``) and close it."""
    own = {name: settings.pop(name) for name in ("queues", "slots", "limited", "fair") if name in settings}
    made = World(home, play, settings, **own)
    try:
        yield made
    finally:
        for engine in made.workers:
            engine.close()
