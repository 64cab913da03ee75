"""Two clients of WES that others wrote: each submits, watches, reads logs of and cancels a real run.

They are in venvs of their own (tests/acceptance/clients.sh); where these are not there, the tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.api import Server, api_site, serving, write
from tests.acceptance.commands import HANG

CLIENTS = Path(__file__).parents[2] / ".venv-clients"

#: What both programs print at their end: what they saw.
WES_CLIENT = """
import json, sys, time, requests
from wes_client.util import WESClient, modify_jsonyaml_paths
_, host, token, gate = sys.argv
auth = {"Authorization": "Bearer " + token}
reader = WESClient({"auth": auth, "proto": "http", "host": host})
poster = WESClient({"auth": auth, "proto": "http", "host": "anybody:" + token + "@" + host})
job = modify_jsonyaml_paths("job.json")
run = poster.run("copy.cwl", job, ["in.txt"])["run_id"]
while (state := reader.get_run_status(run)["state"]) in ("QUEUED", "INITIALIZING", "RUNNING"):
    time.sleep(0.1)
log = reader.get_run_log(run)
waits = poster.run("copy.cwl", json.dumps({**json.loads(job), "gate": gate}), ["in.txt"])["run_id"]
reader.cancel(waits)
while (canceled := reader.get_run_status(waits)["state"]) != "CANCELED":
    time.sleep(0.1)
print(json.dumps({
    "state": state,
    "stderr": requests.get(log["run_log"]["stderr"], headers=auth).text,
    "stdout": requests.get(log["task_logs"][0]["stdout"], headers=auth).text,
    "output": requests.get(log["outputs"]["out"]["location"], headers=auth).text,
    "canceled": canceled,
    "listed": run in [entry["run_id"] for entry in reader.list_runs()["runs"]],
    "info": reader.get_service_info()["supported_wes_versions"],
}))
"""
DNASTACK = """
import json, sys, time, requests
from dnastack import ServiceEndpoint
from dnastack.alpha.client.wes.client import RunRequest, WesClient
from dnastack.client.workbench.ewes.client import EWesClient
from dnastack.client.workbench.ewes.models import ExtendedRunRequest
_, host, token, gate = sys.argv
url = "http://anybody:" + token + "@" + host
wes = WesClient.make(ServiceEndpoint(url=url + "/ga4gh/wes/v1/"))
ewes = EWesClient.make(ServiceEndpoint(url=url + "/"), namespace=".")
params = {"file": {"class": "File", "path": "in.txt"}}
ask = dict(
    workflow_url="copy.cwl", workflow_type="CWL", workflow_type_version="v1.2", attachments=["copy.cwl", "in.txt"],
    workflow_engine_parameters={"reuse": "false"})
run = wes.submit(RunRequest(**ask, workflow_params=params, tags={"by": "dnastack"}))
while (state := wes.run(run).status) in ("QUEUED", "INITIALIZING", "RUNNING"):
    time.sleep(0.1)
seen = ewes.get_run(run, include_tasks=True)
waits = wes.submit(RunRequest(**ask, workflow_params={**params, "gate": gate}))
wes.run(waits).cancel()
while (canceled := wes.run(waits).status) != "CANCELED":
    time.sleep(0.1)
literal = {"file": {"class": "File", "contents": "x", "basename": "x"}}
other = ewes.submit_run(ExtendedRunRequest(
    workflow_url="known", workflow_type="CWL", workflow_type_version="v1.2", workflow_params={**literal, "gate": gate}))
ewes.cancel_run(other.run_id)
while ewes.get_status(other.run_id).state.value != "CANCELED":
    time.sleep(0.1)
print(json.dumps({
    "state": state,
    "stderr": b"".join(ewes.stream_run_logs(run, "stderr")).decode(),
    "stdout": b"".join(ewes.stream_task_logs(run, wes_task, "stdout")).decode()
    if (wes_task := requests.get(url + "/ga4gh/wes/v1/runs/" + run).json()["task_logs"][0]["id"]) else None,
    "output": requests.get(seen.outputs["out"]["location"], auth=("anybody", token)).text,
    "canceled": canceled,
    "listed": run in [entry["run_id"] for entry in requests.get(url + "/ga4gh/wes/v1/runs").json()["runs"]],
    "info": wes.get_service_info()["supported_wes_versions"],
    "tags": seen.request.tags,
}))
"""


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with workers, and a caller's key."""
    directory = tmp_path_factory.mktemp("clients")
    write(directory / "client")
    write(directory / "workflows")
    (directory / "workflows" / "copy.cwl").rename(directory / "workflows" / "known.cwl")
    (directory / "client" / "job.json").write_text('{"file": {"class": "File", "path": "in.txt"}}')
    site = api_site(directory, redis_url.removesuffix("/0") + "/13", SCAN_INTERVAL="1", CANCEL_POLL="0.5")
    key = site.desk("api-keys", "add", "client", "--scope", "read,submit,cancel").stdout.strip()
    with site.worker("one", "-c", "2"), serving(site) as found:
        yield found.who(key)
    site.show_logs()


def python(client: str, program: str) -> str:
    """Return the Python of a client's venv; skips where the client is not there."""
    if not (CLIENTS / client / "bin" / program).exists():
        pytest.skip(f"not tested: {program} is not in {CLIENTS}; tests/acceptance/clients.sh installs it")
    return str(CLIENTS / client / "bin" / "python")


def said(server: Server, interpreter: str, program: str) -> dict[str, Any]:
    """Run a program as a client of the server; return what it saw."""
    here = server.site.desk.directory / "client"
    words = [interpreter, "-c", program, server.url.removeprefix("http://"), str(server.token), str(here / "never")]
    environment = {**os.environ, "HOME": str(here), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


COMMON = {
    "state": "COMPLETE", "stderr": "remarked\n", "stdout": "said\n", "output": "some words\n", "canceled": "CANCELED",
    "listed": True, "info": ["1.1.0"],
}  # fmt: skip


def test_wes_service(server: Server) -> None:
    assert said(server, python("wes-service", "wes-client"), WES_CLIENT) == COMMON


def test_wes_client_as_a_command(server: Server) -> None:
    interpreter = python("wes-service", "wes-client")
    here = server.site.desk.directory / "client"
    address = server.url.removeprefix("http://")
    client = [str(Path(interpreter).with_name("wes-client")), "--proto=http", f"--auth=Bearer {server.token}"]

    def run(*words: str) -> str:
        done = subprocess.run([*client, *words], cwd=here, capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 0, done.stderr
        return done.stdout

    posted = run(f"--host=anybody:{server.token}@{address}", "--attachments=in.txt", "copy.cwl", "job.json")
    assert json.loads(posted)["out"]["size"] == 11
    newest = json.loads(run(f"--host={address}", "--list"))["runs"][0]["run_id"]
    assert json.loads(run(f"--host={address}", f"--get={newest}"))["state"] == "COMPLETE"
    assert run(f"--host={address}", f"--log={newest}") in ("remarked\n", "")  # nothing where outputs were reused


def test_dnastack(server: Server) -> None:
    found = said(server, python("dnastack", "dnastack"), DNASTACK)
    assert found == {**COMMON, "tags": {"by": "dnastack"}}
