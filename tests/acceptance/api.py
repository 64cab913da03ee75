"""A real `celeriac api` beside real workers, and requests to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.commands import CELERIAC, desk
from tests.acceptance.workers import Site, until
from tests.services.process import running

#: A tool that says something on both streams, waits for a file, and copies its input.
COPY = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
arguments: ['echo said; echo remarked >&2; until [ -e "$0" ]; do sleep 0.05; done; cat "$1" > out.txt; exit $2']
inputs:
  gate: {type: string, default: /, inputBinding: {position: 1}}
  file: {type: File, inputBinding: {position: 2}}
  code: {type: int, default: 0, inputBinding: {position: 3}}
outputs: {out: {type: File, outputBinding: {glob: out.txt}}}
"""
#: Two tools, of which the second lies in a folder.
CHAIN = """\
cwlVersion: v1.2
class: Workflow
inputs: {file: File, gate: {type: string, default: /}}
outputs: {out: {type: File, outputSource: second/out}, none: {type: string?, outputSource: first/none}}
steps:
  first: {run: tools/first.cwl, in: {file: file}, out: [out, none]}
  second: {run: copy.cwl, in: {file: first/out, gate: gate}, out: [out]}
"""
FIRST = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [cp]
arguments: [{valueFrom: out.txt, position: 2}]
inputs: {file: {type: File, inputBinding: {position: 1}}}
outputs:
  out: {type: File, outputBinding: {glob: out.txt}}
  none: {type: string?, outputBinding: {outputEval: "$(null)"}}
"""
ROOT = "/ga4gh/wes/v1"
ENDED = ("COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED", "PREEMPTED")
LISTENING = re.compile(r"listening on (http://\S+?:(\d+))[,\s]")


@dataclass
class Server:
    """A server, and who asks it."""

    url: str
    process: int
    site: Site
    token: str | None = None

    def who(self, token: str | None) -> Server:
        """Return the same for somebody else."""
        return Server(self.url, self.process, self.site, token)

    @property
    def headers(self) -> dict[str, str]:
        """What tells who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def ask(self, method: str, path: str, *, code: int = 200, **others: Any) -> httpx.Response:
        """Ask for a path, or for an address as the server gives it; fails unless it is answered with ``code``."""
        address = path if path.startswith("http") else self.url + path
        headers = {**self.headers, **others.pop("headers", {})}
        found = httpx.request(method, address, headers=headers, timeout=60, **others)
        assert found.status_code == code, f"{method} {path}: {found.status_code} {found.text[:2000]}"
        return found

    def get(self, path: str, **others: Any) -> Any:
        """Return the JSON of a path under WES."""
        return self.ask("GET", ROOT + path, **others).json()

    def submit(
        self,
        url: str,
        attachments: Mapping[str, str] | None = None,
        *,
        code: int = 200,
        params: Any = None,
        **others: Any,
    ) -> Any:
        """Post a request for a run; return its answer."""
        fields = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": url, **others}
        if params is not None:
            fields["workflow_params"] = params if isinstance(params, str) else json.dumps(params)
        files = [("workflow_attachment", (name, text.encode())) for name, text in (attachments or {}).items()]
        parts: Any = files + [(name, (None, value)) for name, value in fields.items()]
        return self.ask("POST", f"{ROOT}/runs", code=code, files=parts).json()

    def state(self, run: str) -> str:
        """Return a run's state."""
        return str(self.get(f"/runs/{run}/status")["state"])

    def ended(self, run: str) -> str:
        """Wait for the end of a run; return its state."""
        return until(lambda: found if (found := self.state(run)) in ENDED else None, f"run {run} does not end")

    def key(self, name: str, scopes: str) -> Server:
        """Make a key for somebody; return the server as they see it."""
        return self.who(self.site.desk("api-keys", "add", name, "--scope", scopes).stdout.strip())


def api_site(directory: Path, broker: str, **settings: str) -> Site:
    """Return a site for a server: documents in ``workflows`` run by their names, and tools need no container."""
    (directory / "workflows").mkdir(exist_ok=True)
    own = {"BROKER_URL": broker, "API_PROCESSES": "true", "API_WORKFLOWS": str(directory / "workflows")}
    return Site(desk(directory, **{f"CELERIAC_{name}": value for name, value in {**own, **settings}.items()}))


@contextmanager
def serving(site: Site, *options: str, **settings: str) -> Iterator[Server]:
    """Run `celeriac api OPTIONS` on a free port till the end of the block."""
    number = len(list(site.desk.directory.glob("api-*.log")))
    log = site.desk.directory / f"api-{number}.log"
    env = {**site.desk.environment(), **{f"CELERIAC_{name.upper()}": value for name, value in settings.items()}}
    argv = [str(CELERIAC), "api", "--port", "0", *options]

    def ready() -> bool:
        found = LISTENING.search(log.read_text(errors="replace"))
        return found is not None and httpx.get(f"{_reached(found[1])}/auth", timeout=5).status_code in (200, 401)

    with running(argv, ready=ready, not_yet=httpx.HTTPError, log=log, env=env) as process:
        found = LISTENING.search(log.read_text())
        assert found is not None
        yield Server(_reached(found[1]), process.pid, site)


def _reached(url: str) -> str:
    return url.replace("//0.0.0.0:", "//127.0.0.1:")


def write(directory: Path) -> None:
    """Write the documents and an input, as a client has them."""
    (directory / "tools").mkdir(parents=True, exist_ok=True)
    (directory / "copy.cwl").write_text(COPY)
    (directory / "chain.cwl").write_text(CHAIN)
    (directory / "tools" / "first.cwl").write_text(FIRST)
    (directory / "in.txt").write_text("some words\n")
