"""schemathesis asks whatever a description allows, and much that it does not: no answer may be one that it forbids.

Once by our own description, of all routes, and once by the specification's of WES 1.1, where it is at hand
(tests/acceptance/clients.sh).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.api import ROOT, Server, api_site, serving, write

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
SPECIFICATION = Path(__file__).parents[2] / ".venv-clients" / "wes" / "sapporo" / "ga4gh-wes-spec-1.1.0.yml"
#: What a description does not say is that a workflow, a page or a token has to be there.
EXCEPT = "positive_data_acceptance"
#: What the specification leaves open, too: which errors there are beside its own.
OPEN = f"{EXCEPT},status_code_conformance"
EXAMPLES = "15"

#: service-info 1.0 of GA4GH, as far as it is required: the specification refers to it on another host.
SERVICE: dict[str, Any] = {
    "type": "object",
    "required": ["id", "name", "type", "organization", "version"],
    "properties": {
        "id": {"type": "string"},
        "name": {"type": "string"},
        "type": {
            "type": "object",
            "required": ["group", "artifact", "version"],
            "additionalProperties": {"type": "string"},
        },
        "organization": {
            "type": "object",
            "required": ["name", "url"],
            "properties": {"name": {"type": "string"}, "url": {"type": "string"}},
        },
        "version": {"type": "string"},
    },
}


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a worker, and an admin's key."""
    directory = tmp_path_factory.mktemp("schema")
    write(directory / "workflows")
    site = api_site(directory, redis_url.removesuffix("/0") + "/14")
    key = site.desk("api-keys", "add", "admin", "--scope", "admin").stdout.strip()
    with site.worker("one", "-c", "2"), serving(site) as found:
        yield found.who(key)
    site.show_logs()


def examine(server: Server, tmp_path: Path, *words: str) -> None:
    """Run schemathesis with the admin's key; fails with what it says unless it finds nothing."""
    argv = [SCHEMATHESIS, "run", *words, "-n", EXAMPLES, "--seed", "7", "-H", f"Authorization: Bearer {server.token}"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "internal error" not in done.stdout
    for log in server.site.desk.directory.glob("api-*.log"):
        assert "Traceback" not in log.read_text(errors="replace")


@pytest.mark.slow
def test_by_our_own_description(server: Server, tmp_path: Path) -> None:
    examine(server, tmp_path, f"{server.url}/openapi.json", "--exclude-checks", EXCEPT)


@pytest.mark.slow
def test_runs_that_are_there(server: Server, tmp_path: Path) -> None:
    literal = {"class": "File", "contents": "x", "basename": "x"}
    run = server.submit("copy", params={"file": literal})["run_id"]
    assert server.ended(run) == "COMPLETE"
    task = server.get(f"/runs/{run}/tasks")["task_logs"][0]["id"]
    known = {"run_id": run, "task_id": task, "stream": "stdout", "path": "out.txt"}
    lines = [f'"path.{name}" = "{value}"\n' for name, value in known.items()]
    (tmp_path / "schemathesis.toml").write_text("[parameters]\n" + "".join(lines))
    words = ("--include-path-regex", "run_id", "--exclude-checks", EXCEPT)
    examine(server, tmp_path, f"{server.url}/openapi.json", *words)


@pytest.mark.slow
def test_by_the_specification(server: Server, tmp_path: Path) -> None:
    if not SPECIFICATION.exists():
        pytest.skip(f"not tested: {SPECIFICATION} is not there; tests/acceptance/clients.sh installs it")
    text = yaml.safe_load(SPECIFICATION.read_text("utf-8"))
    info = text["components"]["schemas"]["ServiceInfo"]["allOf"]
    assert info[0]["$ref"].startswith("https://")
    info[0] = SERVICE
    (tmp_path / "wes.yaml").write_text(yaml.safe_dump(text))
    examine(server, tmp_path, "wes.yaml", "--url", server.url + ROOT, "--exclude-checks", OPEN)


def test_the_description_is_whole(server: Server) -> None:
    found = server.ask("GET", "/openapi.json").json()["paths"]
    specified = {
        ("/service-info", "get"), ("/runs", "get"), ("/runs", "post"), ("/runs/{run_id}", "get"),
        ("/runs/{run_id}/status", "get"), ("/runs/{run_id}/cancel", "post"), ("/runs/{run_id}/tasks", "get"),
        ("/runs/{run_id}/tasks/{task_id}", "get"),
    }  # fmt: skip
    for path, method in specified:
        assert method in found[ROOT + path], path
    old = {
        "/dags": {"get", "post"},
        "/dag_runs": {"get", "post"},
        "/dags/dag_runs": {"post"},
        "/dags/{dag_id}/dag_runs": {"post"},
    }
    for path, methods in old.items():
        assert methods == set(found[f"/api/experimental{path}"]), path
