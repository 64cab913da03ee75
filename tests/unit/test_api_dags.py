"""What clients of CWL-Airflow send and are told: names, documents, folders, states; and the application they ask."""

from __future__ import annotations

import argparse
import base64
import json
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from celeriac.access import Access
from celeriac.api import auth
from celeriac.api.app import create
from celeriac.api.dags import job, named, names, states
from celeriac.cli import api_keys, trigger
from celeriac.engine import submit
from celeriac.errors import AccessError, InputError, UnavailableError, UsageError
from celeriac.job.options import RunOptions
from celeriac.journal import callers, runs
from celeriac.journal.tables import runs as runs_table
from celeriac.states import NodeState, RunState
from tests.unit.engine_harness import World, world


def packed(text: bytes) -> str:
    return base64.b64encode(zlib.compress(text)).decode()


@pytest.mark.parametrize(("given", "expected"), [("align", "align"), ("a.b-c_1", "a.b-c_1"), ("x.cwl", "x")])
def test_a_workflow_has_a_name_that_names_a_file(given: str, expected: str) -> None:
    assert names.workflow(given) == expected


@pytest.mark.parametrize("given", ["", ".", "..", ".x", "a/b", "a\0", "a b", "ä", "-x", "x" * 201, None, 3, ["a"]])
def test_other_names_are_refused(given: Any) -> None:
    with pytest.raises(InputError):
        names.workflow(given)


@pytest.mark.parametrize("given", ["", "a\nb", "a\0", "x" * 251, None, 3])
def test_a_run_has_a_name(given: Any) -> None:
    with pytest.raises(InputError):
        names.run(given)
    assert names.run("manual__2020-01-01T00:00:00+00:00") == "manual__2020-01-01T00:00:00+00:00"


@given(st.tuples(st.text(), st.text(), st.integers(0, 9)), st.tuples(st.text(), st.text(), st.integers(0, 9)))
def test_ids_differ_as_names_do(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    def plain(name: tuple[str, str, int]) -> bool:
        try:
            "".join(name[:2]).encode()
        except UnicodeEncodeError:
            return False
        return "\0" not in name[0] + name[1]

    if plain(one) and plain(other):
        assert (names.identifier(*one) == names.identifier(*other)) == (one == other)


def test_a_document_comes_packed() -> None:
    assert names.content(packed(b"class: Workflow")) == "class: Workflow"


@pytest.mark.parametrize(
    "given",
    [
        None, 3, "***", "\x93", "", base64.b64encode(b"plain").decode(), packed(b"\xff"),
        packed(b"x" * (names.LONGEST + 1)),
    ],  # fmt: skip
)
def test_other_content_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        names.content(given)


@pytest.mark.parametrize(
    ("conf", "expected"), [(None, {}), ("", {}), ('{"job": {"a": 1}}', {"job": {"a": 1}}), ({"job": {}}, {"job": {}})]
)
def test_conf_is_a_text_with_json(conf: Any, expected: dict[str, Any]) -> None:
    assert job.read(conf) == expected


@pytest.mark.parametrize("conf", ["{", "[]", "3", 3, '{"a": NaN}', "[" * 9999, '{"a": "\\u0000"}'])
def test_other_conf_is_refused(conf: Any) -> None:
    with pytest.raises(InputError):
        job.read(conf)


def test_folders_of_the_job_are_within_the_roots(tmp_path: Path) -> None:
    access = Access(roots=(str(tmp_path),))

    def made(**folders: Any) -> RunOptions:
        values, options = job.job({"job": {"x": 1, **folders}}, access, RunOptions(), tmp_path)
        assert values == {"x": 1}
        return options

    place = str(tmp_path / "out")
    assert made(output_folder=place).outdir == made(outputs_folder=place).outdir == place
    assert made(tmp_folder=place).scratch == place
    assert made(outputs_folder=None, tmp_folder=None) == RunOptions()
    (tmp_path / "link").symlink_to("/")
    for wrong in ("/etc", f"{tmp_path}/../x", f"{tmp_path}/link/etc"):
        with pytest.raises(AccessError):
            made(outputs_folder=wrong)
    for wrong in ("out", 3, ["/etc"]):
        with pytest.raises(InputError):
            made(tmp_folder=wrong)


@pytest.mark.parametrize("conf", [{"job": []}, {"job": "x"}, {"job": {"a": {"$import": "x"}}}])
def test_a_job_that_is_none(conf: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        job.job(conf, Access(), RunOptions(), Path("/"))


@given(st.floats(0, 4e9))
def test_a_time_that_was_told_is_known_again(seconds: float) -> None:
    told = states.moment(seconds)
    again = states.instant(told or "")
    assert again is not None and abs(again - seconds) < 1e-5 and states.moment(again) == told


def test_every_state_has_a_word() -> None:
    for state in RunState:
        assert state in states.of_words(states.run_state(state))
    assert states.of_words("queued") == []
    for node in NodeState:
        assert states.step_state([node]) in ("queued", "running", "success", "failed", "skipped", "upstream_failed")


@pytest.mark.parametrize(
    ("created", "target", "ended", "now", "expected"),
    [
        (0.0, None, None, 999.0, "success"),
        (0.0, "r", None, 5.0, "running"),
        (0.0, "r", 5.0, 999.0, "success"),
        (9.0, "r", 5.0, 999.0, "success"),  # it had ended before
        (0.0, "r", None, 121.0, "failed"),
        (0.0, "r", 500.0, 999.0, "failed"),
    ],
)
def test_an_order_to_stop_has_a_state(
    created: float, target: str | None, ended: float | None, now: float, expected: str
) -> None:
    assert states.stop_state(created, target, ended, now) == expected


# --- the application ------------------------------------------------------------------------------

ROOT = "/api/experimental"
SECRET = "0123456789abcdef0123456789abcdef"
TOOL = """\
cwlVersion: v1.2
class: CommandLineTool
baseCommand: ["true"]
inputs: {a: {type: int, default: 1, inputBinding: {}}}
outputs: {out: int}
"""
FAILED = "Failed to verify data"
#: What a run's row needs, and no test looks at.
ROW: dict[str, Any] = {"name": "x", "inputs": {}, "options": {}, "queues": [], "stopping": False}


class Old:
    """The application in this process; its old clients sign with a secret."""

    def __init__(self, world: World, folder: Path, portal: BlockingPortal) -> None:
        self.world, self.folder = world, folder
        self.app = create(world.engine, world.engine.settings)
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://here")
        self._portal = portal

    def send(self, method: str, path: str, **others: Any) -> httpx.Response:
        """Send a request."""
        address = path if path.startswith("/ga4gh") else ROOT + path
        return self._portal.call(partial(self._client.request, method, address, **others))

    def ask(self, method: str, path: str, code: int = 200, token: str | None = None, **others: Any) -> Any:
        """Ask, and fail unless the answer is ``code``."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        found = self.send(method, path, headers=headers, **others)
        assert found.status_code == code, f"{method} {path}: {found.status_code} {found.text[:500]}"
        return found.json()

    def order(self, dag: str, body: dict[str, Any], code: int = 200, **claims: Any) -> Any:
        """Sign a body, and post it."""
        signed = {**body, "token": sign(**body, **claims)}
        return self.ask("POST", f"/dags/{dag}/dag_runs", code, json=signed)

    def whole(self, run: str, code: int = 200, text: str = TOOL, job: Any = None, **claims: Any) -> Any:
        """Sign a workflow and its run, and post them."""
        data = {"dag_id": "whole", "run_id": run, "proj_id": "p", "conf": json.dumps({"job": job or {}})}
        body = {"workflow_content": packed(text.encode()), "workflow_data": data}
        return self.ask("POST", "/dags/dag_runs", code, json={**body, "token": sign(**body, **claims)})

    def seen(self, **query: str) -> list[str]:
        """Return the names of the runs that a query finds."""
        return [row["run_id"] for row in self.ask("GET", "/dag_runs", token=ADMIN, params=query)["dag_runs"]]

    def states(self) -> list[str]:
        """Return the states of all runs, oldest first."""
        with self.world.engine.database.read() as connection:
            return [row.state for row in reversed(runs.recent(connection, 2000))]

    def put(self, workflow: str, run: str, created: float, number: int = 0, **values: Any) -> str:
        """Write a run into the journal, as if it had been started then."""
        known = {"workflow": workflow, "request": {"run_id": run}, "created": created, "state": "SUCCESS", **values}
        document = self.world.check(self.folder / "tool.cwl").document.snapshot.hash
        name = names.identifier(workflow, run, number)
        with self.world.engine.database.begin() as connection:
            connection.execute(insert(runs_table).values(id=name, document=document, **ROW, **known))
        return name


def sign(**claims: Any) -> str:
    return jwt.encode(claims, SECRET, "HS256")


ADMIN = sign(sub="root", scope="admin")


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Old]:
    folder = tmp_path / "workflows"
    folder.mkdir()
    (folder / "tool.cwl").write_text(TOOL)
    own = {"api_workflows": str(folder), "api_jwt_key": SECRET, "api_jwt_algorithms": "HS256", "api_processes": True}
    with world(tmp_path / "home", **own) as made, start_blocking_portal() as portal:
        yield Old(made, folder, portal)


def test_a_run_is_found_however_many_newer_ones_there_are(old: Old) -> None:
    old.order("tool", {"run_id": "first", "conf": "{}"})
    row = old.ask("GET", "/dag_runs", token=ADMIN)["dag_runs"][0]
    with old.world.engine.database.begin() as connection:
        own = {**ROW, "document": "d", "state": "SUCCESS", "created": 4e9}
        later = [{"id": f"n{one}", "workflow": f"w{one % 2}", "request": {"run_id": "x"}} for one in range(1001)]
        connection.execute(insert(runs_table), [{**own, **values} for values in later])
    first, told = {"run_id": "first"}, {"execution_date": row["execution_date"]}
    for query in ({"dag_id": "tool", **first}, first, {**first, "state": "running"}, told, {**first, **told}):
        assert old.ask("GET", "/dag_runs", token=ADMIN, params=query)["dag_runs"] == [row], query
    date = "2020-01-01T00:00:00+00:00"
    for query in (
        {"dag_id": "w1", **first}, {"run_id": "none"}, {**first, "state": "failed"}, {**first, "execution_date": date},
        *({"execution_date": text} for text in (date, "0001-01-01T00:00:00+23:00", "today", "", "9" * 5000)),
    ):  # fmt: skip
        assert old.seen(**query) == [], query
    assert old.ask("GET", "/dag_runs", token=sign(sub="bob", scope="read"), params=first) == {"dag_runs": []}


@pytest.mark.parametrize("left", [[0, 1, 2], [0, 1, 2, 9, 10, 70], [3], [63, 64], [999], [0, 40]])
def test_runs_of_a_name_are_found_where_others_were_cleaned(old: Old, left: list[int]) -> None:
    made = [old.put("tool", "again", 10.0 + number, number) for number in left]
    old.put("tool", "another", 500.0)
    with old.world.engine.database.read() as connection:
        assert [row.id for row in named.find(connection, "again", ["tool"])] == made[::-1]
        assert [row.id for row in named.find(connection, "again", ["none"])] == []
    assert old.seen(dag_id="tool", run_id="again") == ["again"] * len(left)


@pytest.mark.parametrize(
    "body", [{"execution_date": "2020-01-01"}, {"more": {"a": [1, None, 2.5]}}, {"exp": 4_000_000_000}]
)
def test_a_body_is_signed_with_all_that_is_in_it(old: Old, body: dict[str, Any]) -> None:
    asked = {"run_id": "one", "conf": "{}", **body}
    unsigned = {**asked, "token": sign(run_id="one", conf="{}")}
    assert old.ask("POST", "/dags/tool/dag_runs", 403, json=unsigned)["msg"].startswith(FAILED)
    changed = {**asked, **dict.fromkeys(body, "another"), "token": sign(**asked)}
    assert old.ask("POST", "/dags/tool/dag_runs", 403, json=changed)["msg"].startswith(FAILED)
    assert old.order("tool", asked)["run_id"] == "one"


def test_a_workflow_and_its_run_are_signed_with_all_that_is_in_them(old: Old) -> None:
    data = {"dag_id": "whole", "run_id": "one", "conf": "{}", "cluster": {"name": "x"}}
    body = {"workflow_content": packed(TOOL.encode()), "workflow_data": data, "more": 1}
    less = {**body, "workflow_data": {name: data[name] for name in ("dag_id", "run_id", "conf")}}
    old.ask("POST", "/dags/dag_runs", 403, json={**body, "token": sign(**less)})
    assert old.ask("POST", "/dags/dag_runs", json={**body, "token": sign(**body)})["run_id"] == "one"


def test_old_clients_are_told_in_the_words_that_they_know(old: Old) -> None:
    body = {"run_id": "one", "conf": "{}"}
    whole = {"workflow_content": packed(TOOL.encode()), "workflow_data": {"dag_id": "whole", "run_id": "one"}}
    forged = jwt.encode({**body, **whole}, "another secret of 32 bytes or more", "HS256")
    for token in (None, "", forged, "x", sign(run_id="two", conf="{}"), sign(**body, **whole, exp=1)):
        for path, sent in (("/dags/tool/dag_runs", body), ("/dags/dag_runs", whole)):
            said = old.ask("POST", path, 403, json={**sent, "token": token})
            assert said["msg"].startswith(FAILED) and said["error"] == said["msg"], path
        query = {"dag_id": "tool", **body, **({} if token is None else {"token": token})}
        assert old.ask("POST", "/dag_runs", 403, params=query)["msg"].startswith(FAILED)
    old.ask("GET", "/dag_runs", 401)
    old.ask("GET", "/ga4gh/wes/v1/runs", 401)
    assert old.states() == []


def test_who_may_not_cancel_stops_nothing(old: Old) -> None:
    claims = {"sub": "alice", "scope": "submit"}
    old.whole("one", **claims)
    said = old.whole("one", 403, text=TOOL + "\n", **claims)
    assert "'cancel'" in said["msg"] and old.states() == ["PENDING"]
    assert (old.folder / "whole.cwl").read_text() == TOOL
    old.whole("two", **claims)
    old.world.drain()
    old.whole("one", **claims)  # it has ended: there is nothing to stop
    old.whole("one", sub="alice", scope="submit cancel")
    assert old.states() == ["SUCCESS", "SUCCESS", "CANCELED", "PENDING"]
    old.put("whole", "stopping", 5e9, caller="alice", state="CANCELING")
    old.whole("stopping", **claims)  # it is being stopped as it is
    old.whole("three")  # who signs without scopes may do both, as ever
    old.whole("three")
    assert old.states()[4:] == ["PENDING", "CANCELED", "PENDING", "CANCELING"]


def test_a_run_that_is_refused_stops_none(old: Old) -> None:
    old.whole("one")
    old.whole("one", 400, job={"a": "no number"})
    assert old.states() == ["PENDING"]


def test_the_token_of_an_order_lets_nobody_in(old: Old) -> None:
    own = {"sub": "alice", "scope": "read submit", "jti": "t"}
    body = {"run_id": "one", "conf": "{}"}
    old.order("tool", body, **own)
    for claims in (body, {"run_id": "one"}, {"conf": "{}"}, {"workflow_data": {}}):
        token = sign(**claims, **own)
        assert "order" in old.ask("GET", "/ga4gh/wes/v1/runs", 403, token)["msg"]
        old.ask("GET", "/dag_runs", 403, token)
        old.ask("POST", "/dags/tool/dag_runs", 403, token, json={"run_id": "two"})
        assert old.send("GET", "/dag_runs", auth=("alice", token)).status_code == 403
    assert len(old.ask("GET", "/ga4gh/wes/v1/runs", 200, sign(**own))["runs"]) == 1


def test_a_token_may_be_bound_to_a_workflow(old: Old) -> None:
    body = {"run_id": "one", "conf": "{}"}
    (old.folder / "other.cwl").write_text(TOOL)
    assert old.order("other", body, 403, dag_id="tool")["msg"].startswith(FAILED)
    # nor does it help to say the name in the body, too
    told = {**body, "dag_id": "tool", "token": sign(**body, dag_id="tool")}
    old.ask("POST", "/dags/other/dag_runs", 403, json=told)
    assert old.order("tool", body, dag_id="tool")["dag_id"] == "tool"
    query = {**body, "run_id": "two", "token": sign(run_id="two", conf="{}", dag_id="tool")}
    old.ask("POST", "/dag_runs", 403, params={**query, "dag_id": "other"})
    assert old.ask("POST", "/dag_runs", params={**query, "dag_id": "tool"})["dag_id"] == "tool"
    old.whole("three", 403, dag_id="tool")
    old.whole("three", dag_id="whole")
    stop = {"run_id": "s", "conf": '{"remove_dag_id": "tool", "remove_run_id": "one"}'}
    old.order("clean_dag_run", stop, 403, dag_id="tool")
    old.order("clean_dag_run", stop, dag_id="clean_dag_run")


def test_a_token_of_another_service_is_no_order(old: Old) -> None:
    """It says nothing of what it is for, as does a query that names no run."""
    for claims in ({"sub": "alice"}, {"sub": "alice", "scope": "submit"}, {}, {"conf": "{}"}):
        query = {"dag_id": "tool", "token": sign(**claims), **{name: "{}" for name in claims if name == "conf"}}
        assert old.ask("POST", "/dag_runs", 403, params=query)["msg"].startswith(FAILED)
    assert old.states() == []


def test_an_order_that_is_refused_keeps_its_token(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise UnavailableError("it does not answer")

    body = {"run_id": "one", "conf": json.dumps({"job": {"a": 3}})}
    old.order("later", body, 404, jti="a")
    (old.folder / "later.cwl").write_text(TOOL.replace("int", "string"))
    old.order("later", body, 400, jti="a")
    (old.folder / "later.cwl").write_text(TOOL)
    with monkeypatch.context() as patch:
        patch.setattr("celeriac.api.dags.trigger.check", away)
        old.order("later", body, 503, jti="a")
        old.whole("one", 503, jti="b")
    old.order("later", body, jti="a")
    old.whole("one", jti="b")
    for again in (old.order("later", body, 403, jti="a"), old.whole("one", 403, jti="b")):
        assert again["msg"].startswith(FAILED) and "used before" in again["msg"]
    assert old.states() == ["PENDING", "PENDING"]


def test_an_order_to_stop_that_is_refused_keeps_its_token(old: Old) -> None:
    target = '{"remove_dag_id": "tool", "remove_run_id": "one"}'
    old.order("clean_dag_run", {"run_id": "s", "conf": target}, jti="a")
    for conf, code in (("{}", 400), (target, 409)):
        old.order("clean_dag_run", {"run_id": "s", "conf": conf}, code, jti="b")
    old.order("clean_dag_run", {"run_id": "t", "conf": target}, jti="b")
    old.order("clean_dag_run", {"run_id": "u", "conf": target}, 403, jti="b")


def test_two_requests_with_a_token_start_one_run(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are seen to be right, and none has used its token, when the first goes on."""
    together = threading.Barrier(4)

    def check(*given: Any) -> Any:
        found = submit.check(*given)
        together.wait(60)
        return found

    old.app.state.service.loads.total_tokens = 4
    monkeypatch.setattr("celeriac.api.dags.trigger.check", check)
    body: Any = {"workflow_content": packed(TOOL.encode()), "workflow_data": {"dag_id": "whole", "run_id": "one"}}
    body["token"] = sign(**body, jti="t")
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(old.send, "POST", "/dags/dag_runs", json=body) for _ in range(4)]
        assert sorted(one.result().status_code for one in asked) == [200, 403, 403, 403]
    assert old.states() == ["PENDING"]


def test_a_token_that_another_request_uses_meanwhile_stops_nothing(old: Old, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other has started its run by then: that is the run which would be stopped."""
    old.whole("one")

    def check(*given: Any) -> Any:
        with old.world.engine.database.begin() as connection:
            assert callers.use_token(connection, auth.digest("t"), 1e11)
        return submit.check(*given)

    monkeypatch.setattr("celeriac.api.dags.trigger.check", check)
    old.whole("one", 403, jti="t")
    assert old.states() == ["PENDING"]


def test_what_has_no_name_is_given_one(old: Old) -> None:
    form = {"files": {"workflow": ("x.cwl", TOOL)}}
    made = [old.ask("POST", "/dags", token=ADMIN, **form)["dag_id"] for _ in range(2)]
    assert made[0] != made[1]
    assert all(names.workflow(name) == name and (old.folder / f"{name}.cwl").is_file() for name in made)
    found = [old.ask("POST", "/dag_runs", token=ADMIN, params={"dag_id": made[0]})["run_id"] for _ in range(2)]
    assert found[0] != found[1]
    for name in found:
        assert names.run(name) == name and old.seen(run_id=name) == [name]


def test_a_workflow_comes_as_json_too(old: Old) -> None:
    content = {"workflow_content": packed(TOOL.encode())}
    old.ask("POST", "/dags?dag_id=packed", token=ADMIN, json=content)
    assert (old.folder / "packed.cwl").read_text() == TOOL
    for wrong in ({}, [], {"workflow_content": 3}, {"workflow_content": "x"}):
        old.ask("POST", "/dags?dag_id=wrong", 400, ADMIN, json=wrong)
    kind = {"headers": {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN}"}}
    for body, code in ((b"{", 400), (b"\xff", 400), (b"[" * 100_000, 400), (b" " * ((16 << 20) + 1), 413)):
        assert old.send("POST", "/dags?dag_id=wrong", content=body, **kind).status_code == code
    old.ask("POST", "/dags?dag_id=wrong", 401, json=content)
    assert not (old.folder / "wrong.cwl").exists()


@pytest.mark.parametrize("name", ["clean_dag_run", "clean_dag_run.cwl"])
def test_no_workflow_is_called_as_the_order_to_stop_is(old: Old, name: str) -> None:
    form = {"files": {"workflow": ("x.cwl", TOOL)}}
    old.ask("POST", f"/dags?dag_id={name}", 400, ADMIN, **form)
    body = {"workflow_content": packed(TOOL.encode()), "workflow_data": {"dag_id": name, "run_id": "one"}}
    old.ask("POST", "/dags/dag_runs", 400, ADMIN, json=body)
    assert [path.name for path in old.folder.iterdir()] == ["tool.cwl"]


def test_nobody_is_called_as_those_without_a_name_are(old: Old) -> None:
    old.order("tool", {"run_id": "one", "conf": "{}"})
    own = {"sub": "unnamed", "scope": "read submit"}
    old.ask("GET", "/dag_runs", 403, sign(**own))
    old.ask("GET", "/ga4gh/wes/v1/runs", 403, sign(**own))
    assert old.order("tool", {"run_id": "two", "conf": "{}"}, 403, **own)["msg"].startswith(FAILED)
    with pytest.raises(UsageError, match="unnamed"):
        api_keys.main(argparse.Namespace(action="add", name="unnamed", scope="read"), None)


def test_the_small_client_signs_for_one_order(
    old: Old, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[dict[str, Any]] = []

    def post(url: str, json: dict[str, Any], **_: Any) -> Any:
        sent.append(json)
        return old.send("POST", url.removeprefix(f"http://there{ROOT}"), json=json)

    monkeypatch.setattr("requests.post", post)
    (tmp_path / "key").write_text(SECRET)
    words = ["-d", "tool", "--url", "http://there", "--key", str(tmp_path / "key"), "--algorithm", "HS256"]
    parser = argparse.ArgumentParser()
    trigger.arguments(parser)
    for _ in range(2):
        assert trigger.main(parser.parse_args(words), None) == 0
    assert capsys.readouterr().out.split() == [body["run_id"] for body in sent]
    claims = [jwt.decode(body["token"], SECRET, ["HS256"]) for body in sent]
    assert claims[0]["dag_id"] == "tool" and claims[0]["jti"] != claims[1]["jti"]
    assert 60 <= claims[0]["exp"] - claims[0]["iat"] <= 3600 and abs(claims[0]["iat"] - time.time()) < 60
    (old.folder / "other.cwl").write_text(TOOL)
    old.ask("POST", "/dags/other/dag_runs", 403, json=sent[0])
    assert "used before" in old.ask("POST", "/dags/tool/dag_runs", 403, json=sent[0])["msg"]
