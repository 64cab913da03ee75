"""The routes of CWL-Airflow, as its clients use them: signed bodies, states to be polled, runs to be stopped."""

from __future__ import annotations

import base64
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.acceptance.api import CHAIN, COPY, Server, api_site, serving
from tests.acceptance.workers import until
from tests.integration.cluster import new_database

ROOT = "/api/experimental"


@pytest.fixture(scope="module")
def key() -> Any:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def server(redis_url: str, postgresql_url: str, key: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose journal is in PostgreSQL, and an admin's key."""
    directory = tmp_path_factory.mktemp("dags")
    (directory / "workflows").mkdir()
    (directory / "workflows" / "copy.cwl").write_text(COPY)
    (directory / "data").mkdir()
    (directory / "data" / "in.txt").write_text("some words\n")
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "public.pem").write_bytes(public)
    own = {
        "SCAN_INTERVAL": "1", "CANCEL_POLL": "0.5", "API_ROOTS": str(directory / "data"),
        "API_JWT_KEY": str(directory / "public.pem"), "JOURNAL_URL": new_database(postgresql_url, "api_dags"),
    }  # fmt: skip
    site = api_site(directory, redis_url.removesuffix("/0") + "/14", **own)
    with site.worker("one", "-c", "4"), serving(site) as found:
        yield found.key("admin", "admin")
    site.show_logs()


@pytest.fixture
def private(key: Any) -> str:
    return str(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def conf(server: Server, **job: Any) -> str:
    data = server.site.desk.directory / "data"
    return json.dumps({"job": {"file": {"class": "File", "location": str(data / "in.txt")}, **job}})


def post(server: Server, private: str, dag: str, run: str, conf: str, *, code: int = 200, **claims: Any) -> Any:
    """Trigger as the old clients do: what is asked for is signed, and nothing else tells who asks."""
    body = {"run_id": run, "conf": conf}
    token = jwt.encode({**body, **claims}, private, "RS256")
    path = f"{ROOT}/dags/{dag}/dag_runs"
    return server.who(None).ask("POST", path, code=code, json={**body, "token": token}).json()


def seen(server: Server, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.ask("GET", f"{ROOT}/dag_runs", params=query).json()["dag_runs"]
    return found


def ended(server: Server, dag: str, run: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = seen(server, dag_id=dag, run_id=run)[0]
        return found if found["state"] != "running" else None

    return until(look, f"{run} does not end")


def test_a_signed_body_starts_a_run(server: Server, private: str) -> None:
    data = server.site.desk.directory / "data"
    asked = conf(server, outputs_folder=str(data / "out"), tmp_folder=str(data / "tmp"))
    made = post(server, private, "copy", "first run", asked)
    assert (made["dag_id"], made["run_id"], made["state"]) == ("copy", "first run", "running")
    row = ended(server, "copy", "first run")
    assert (row["state"], row["progress"], row["tasks"]) == ("success", 100, [{"id": "copy", "state": "success"}])
    assert row["execution_date"] == made["execution_date"]
    assert (data / "out" / "out.txt").read_text() == "some words\n"
    assert seen(server, execution_date=row["execution_date"]) == [row]
    assert row in seen(server, state="success") and row not in seen(server, state="failed")
    assert post(server, private, "copy", "first run", asked, code=409)["status_code"] == 409


def test_claims_are_the_body_and_nothing_else(server: Server, private: str) -> None:
    body = {"run_id": "forged", "conf": conf(server)}
    path = f"{ROOT}/dags/copy/dag_runs"
    other = jwt.encode({**body, "run_id": "another"}, private, "RS256")
    answer = server.who(None).ask("POST", path, code=403, json={**body, "token": other})
    assert answer.json()["msg"].startswith("Failed to verify data")
    public = (server.site.desk.directory / "public.pem").read_text()
    for wrong in ("x", jwt.encode(body, None, "none"), private, public):
        server.who(None).ask("POST", path, code=403, json={**body, "token": wrong})
    post(server, private, "copy", "forged", body["conf"], exp=int(time.time()) - 60, code=403)
    post(server, private, "copy", "forged", body["conf"], scope="read", code=403)
    answer = server.who(None).ask("POST", path, code=403, json=body)
    assert answer.json()["msg"].startswith("Failed to verify data")
    assert seen(server, run_id="forged") == []


def test_lists_need_a_token_unless_they_are_open(server: Server, private: str) -> None:
    """The old clients sign what they ask for, and nothing else."""
    mine, other = server.key("somebody", "read,submit"), conf(server)
    post(server, private, "copy", "in the open", other)
    mine.ask("POST", f"{ROOT}/dag_runs", params={"dag_id": "copy", "run_id": "somebody's", "conf": other})
    for path in ("dags", "dag_runs"):
        server.who(None).ask("GET", f"{ROOT}/{path}", code=401)
    with serving(server.site, api_open_lists="true") as opened:
        anybody = opened.who(None)
        names = [one["run_id"] for one in seen(anybody)]
        assert "in the open" in names and "somebody's" not in names
        assert anybody.ask("GET", f"{ROOT}/dags").json()["dags"]
        assert [one["run_id"] for one in seen(opened.who(mine.token))] == ["somebody's"]
        opened.who("celeriac_wrong").ask("GET", f"{ROOT}/dag_runs", code=403)
        for path, code in (("/dags?dag_id=x", 401), ("/dag_runs?dag_id=copy&run_id=x", 403)):
            anybody.ask("POST", ROOT + path, code=code)
        anybody.ask("GET", "/ga4gh/wes/v1/runs", code=401)
    ended(server, "copy", "somebody's")


def test_a_token_that_names_itself_is_used_once(server: Server, private: str) -> None:
    post(server, private, "copy", "once", conf(server), jti="t1", exp=int(time.time()) + 600)
    answer = post(server, private, "copy", "once", conf(server), jti="t1", exp=int(time.time()) + 600, code=403)
    assert "used before" in answer["msg"]


def test_nobody_gets_a_key_in_the_name_of_those_without_one(server: Server) -> None:
    done = server.site.desk("api-keys", "add", "unnamed", "--scope", "read", code=1)
    assert "unnamed" in done.stderr and done.stdout == ""


def test_runs_are_stopped_by_an_order(server: Server, private: str) -> None:
    gate = str(server.site.desk.directory / "never")
    post(server, private, "copy", "to be stopped", conf(server, gate=gate))
    until(lambda: seen(server, run_id="to be stopped")[0]["tasks"][0]["state"] == "running" or None, "it starts not")
    order = json.dumps({"remove_dag_id": "copy", "remove_run_id": "to be stopped"})
    made = post(server, private, "clean_dag_run", "stop 1", order)
    assert made["dag_id"] == "clean_dag_run"
    assert ended(server, "clean_dag_run", "stop 1")["state"] == "success"
    assert ended(server, "copy", "to be stopped")["state"] == "failed"
    for number, run in ((2, "to be stopped"), (3, "never was")):
        order = json.dumps({"remove_dag_id": "copy", "remove_run_id": run})
        post(server, private, "clean_dag_run", f"stop {number}", order)
        assert ended(server, "clean_dag_run", f"stop {number}")["state"] == "success"
    post(server, private, "clean_dag_run", "stop 3", order, code=409)
    post(server, private, "clean_dag_run", "stop 4", "{}", code=400)


def test_workflows_are_taken_in(server: Server) -> None:
    content = base64.b64encode(zlib.compress(COPY.encode())).decode()
    found = server.ask("POST", f"{ROOT}/dags?dag_id=packed", files={"workflow_content": (None, content)}).json()
    assert found == {"dag_id": "packed", "dag_path": "packed.cwl", "cwl_path": "packed.cwl"}
    server.ask("POST", f"{ROOT}/dags?dag_id=plain", files={"workflow": ("wf.cwl", COPY)})
    dags = server.ask("GET", f"{ROOT}/dags?dag_ids=packed,plain,none").json()["dags"]
    assert dags == [{"dag_id": "packed", "tasks": []}, {"dag_id": "plain", "tasks": []}]
    bob = server.key("bob", "submit")
    bob.ask("POST", f"{ROOT}/dags?dag_id=plain", files={"workflow": ("wf.cwl", COPY)})
    bob.ask("POST", f"{ROOT}/dags?dag_id=plain", files={"workflow": ("wf.cwl", COPY + "\n")}, code=409)
    for name, text in (("../evil", COPY), (".x", COPY), ("wrong", "class: ["), ("chain", CHAIN)):
        answer = server.ask("POST", f"{ROOT}/dags", params={"dag_id": name}, files={"workflow": ("x", text)}, code=400)
        assert str(server.site.desk.directory) not in answer.text
    folder = server.site.desk.directory / "workflows"
    assert sorted(path.name for path in folder.iterdir()) == ["copy.cwl", "packed.cwl", "plain.cwl"]


def test_a_workflow_and_its_run_at_once(server: Server, private: str) -> None:
    content = base64.b64encode(zlib.compress(COPY.encode())).decode()
    gate = str(server.site.desk.directory / "never")

    def body(**job: Any) -> dict[str, Any]:
        data = {"dag_id": "whole", "run_id": "again", "proj_id": "p", "conf": conf(server, **job)}
        return {"workflow_content": content, "workflow_data": data}

    first = body(gate=gate)
    token = jwt.encode(first, private, "RS256")
    server.who(None).ask("POST", f"{ROOT}/dags/dag_runs", json={**first, "token": token})
    second = body()
    token = jwt.encode(second, private, "RS256")
    server.who(None).ask("POST", f"{ROOT}/dags/dag_runs", json={**second, "token": token})
    until(lambda: {row["state"] for row in seen(server, run_id="again")} == {"success", "failed"} or None, "they go on")


def test_a_token_starts_one_run_whoever_is_first(server: Server, private: str) -> None:
    content = base64.b64encode(zlib.compress(COPY.encode())).decode()
    data = {"dag_id": "raced", "run_id": "raced", "conf": conf(server)}
    body: dict[str, Any] = {"workflow_content": content, "workflow_data": data}
    body["token"] = jwt.encode({**body, "jti": "raced", "exp": int(time.time()) + 600}, private, "RS256")

    def post() -> int:
        return httpx.post(f"{server.url}{ROOT}/dags/dag_runs", json=body, timeout=120).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(found.result() for found in [pool.submit(post) for _ in range(8)]) == [200] + [403] * 7
    assert ended(server, "raced", "raced")["state"] == "success" and len(seen(server, run_id="raced")) == 1


def test_a_run_asked_for_in_a_query(server: Server) -> None:
    query = {"dag_id": "copy", "run_id": "by query", "conf": conf(server)}
    made = server.ask("POST", f"{ROOT}/dag_runs", params=query).json()
    assert made["run_id"] == "by query" and ended(server, "copy", "by query")["state"] == "success"


@pytest.mark.parametrize(
    ("dag", "job", "code"),
    [("none", {}, 404), ("copy", {"outputs_folder": "/etc"}, 400), ("copy", {"file": None}, 400), ("a b", {}, 400)],
)
def test_what_is_wrong_is_said(server: Server, private: str, dag: str, job: dict[str, Any], code: int) -> None:
    answer = post(server, private, dag, "wrong", conf(server, **job), code=code)
    assert answer["msg"] == answer["error"] and answer["status_code"] == code
