"""Commands and programs that talk to real workers; what these said is shown when one fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.engine import make_url

from celeriac.journal.database import Database
from celeriac.journal.tables import Record, attempts, runs

BIN = Path(sys.executable).parent
CHECKOUT = Path(__file__).parents[2]

#: Seconds after which something hangs.
PATIENCE = 120

#: A tool whose output is its input and a dot.
ECHO = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [printf, "%s."]
inputs: {message: {type: string, inputBinding: {}}}
stdout: out.txt
outputs: {out: {type: string, outputBinding: {glob: out.txt, loadContents: true, outputEval: "$(self[0].contents)"}}}
"""


def new_database(url: str, name: str) -> str:
    """Make a database on a server; returns its URL. The server is shared, other tests' runs shall not be."""
    server = make_url(url)
    with psycopg.connect(server.set(drivername="postgresql").render_as_string(False), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.set(database=name).render_as_string(hide_password=False)


@dataclass(frozen=True)
class Cluster:
    """Workers, and a directory with documents."""

    directory: Path
    settings: Mapping[str, str]

    def run(self, *argv: str, code: int = 0) -> str:
        """Run a command in the directory; returns its standard output."""
        environment = {**os.environ, **self.settings}
        try:
            done = subprocess.run(
                argv, cwd=self.directory, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            pytest.fail(f"{argv} hangs: {error.stderr!r}\n{self.logs()}", pytrace=False)
        if done.returncode != code:
            pytest.fail(f"{argv}: {done.returncode}\n{done.stderr}\n{self.logs()}", pytrace=False)
        return done.stdout

    def celeriac(self, document: str, job: Mapping[str, Any]) -> Any:
        """Run a document; returns its outputs."""
        (self.directory / "job.json").write_text(json.dumps(job))
        argv = ("run", "--no-container", "--quiet", "--outdir", "out", document, "job.json")
        return json.loads(self.run(str(BIN / "celeriac"), *argv))

    def attempts(self, document: str) -> list[Record]:
        """Return the attempts of the newest run of a document."""
        database = Database(self.settings["CELERIAC_JOURNAL_URL"])
        with database.read() as connection:
            run = select(runs.c.id).where(runs.c.name == document).order_by(runs.c.created.desc()).limit(1)
            statement = select(attempts).where(attempts.c.run_id.in_(run)).order_by(attempts.c.created)
            found = list(connection.execute(statement))
        database.close()
        return found

    def logs(self) -> str:
        """Return the workers' last words."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-40:])
            for log in sorted(self.directory.glob("worker-*.log"))
        )
