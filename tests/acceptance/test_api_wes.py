"""`celeriac api` with real workers: WES 1.1 as programs see it."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import jwt
import pytest

from tests.acceptance.api import CHAIN, COPY, FIRST, ROOT, Server, api_site, serving
from tests.acceptance.commands import HANG, desk
from tests.acceptance.workers import Site, until

SECRET = "a secret that is long enough for tokens"
HS = {"CELERIAC_API_JWT_ALGORITHMS": "HS256"}
GUARDED = {"api_jwt_key": SECRET, "api_jwt_algorithms": "HS256"}
OLD = "/api/experimental"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
#: Seconds that a server waits which waits for a moment only.
HASTE = 2
#: A request that needs no token, and a part of one.
INFO = f"GET {ROOT}/service-info HTTP/1.1\r\nHost: x\r\n\r\n".encode()
PART, REST = b"GET / HTTP/1.1\r\nX-", b"x: y\r\nHost: x\r\n\r\n"
IN = {"class": "File", "location": "in.txt"}
ALL = {"copy.cwl": COPY, "in.txt": "some words\n"}


@pytest.fixture(scope="module")
def site(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("api")
    (directory / "workflows").mkdir()
    (directory / "workflows" / "known.cwl").write_text(COPY)
    (directory / "outside.txt").write_text("nobody's business\n")
    site = api_site(directory, redis_url.removesuffix("/0") + "/13", SCAN_INTERVAL="1", CANCEL_POLL="0.5")
    with site.worker("one", "-c", "4"):
        yield site


@pytest.fixture(scope="module")
def server(site: Site) -> Iterator[Server]:
    """A server that takes anybody of this host."""
    with serving(site) as found:
        yield found
    site.show_logs()


@pytest.fixture(scope="module")
def guarded(site: Site) -> Iterator[Server]:
    """A server that takes keys and tokens; it is reached from elsewhere too, and has several processes."""
    options = ("--host", "0.0.0.0", "--workers", "2")
    with serving(site, *options, **GUARDED) as found:
        yield found
    site.show_logs()


@pytest.fixture(scope="module")
def hasty(site: Site) -> Iterator[Server]:
    """A server that waits for its clients a moment only."""
    with serving(site, "--workers", "1", **GUARDED, api_timeout=str(HASTE)) as found:
        yield found
    site.show_logs()


# --- runs -----------------------------------------------------------------------------------------


def test_a_run_from_submit_to_outputs(server: Server) -> None:
    parts = {"wf/chain.cwl": CHAIN, "wf/tools/first.cwl": FIRST, "wf/copy.cwl": COPY, "in.txt": "some words\n"}
    run = server.submit("wf/chain.cwl", parts, params={"file": IN}, tags='{"project": "lake"}')["run_id"]
    assert server.ended(run) == "COMPLETE"
    seen = server.get(f"/runs/{run}")
    assert seen["request"]["workflow_params"] == {"file": IN} and seen["request"]["tags"] == {"project": "lake"}
    assert seen["outputs"]["none"] is None
    output = server.ask("GET", seen["outputs"]["out"]["location"])
    assert output.content == b"some words\n" and output.headers["x-content-type-options"] == "nosniff"
    assert (
        server.ask("GET", seen["outputs"]["out"]["location"], code=206, headers={"Range": "bytes=5-"}).text == "words\n"
    )
    assert str(server.site.desk.home) not in json.dumps(seen)
    commands = {task["name"]: task["cmd"] for task in seen["task_logs"]}
    assert commands["first"] == ["cp", "in/in.txt", "out.txt"] and commands["second"][-2:] == ["in/out.txt", "0"]
    first, second = server.get(f"/runs/{run}/tasks")["task_logs"]
    assert seen["task_logs"] == [first, second] and (first["name"], second["name"]) == ("first", "second")
    assert server.get(f"/runs/{run}/tasks/{second['id']}") == second
    assert second["exit_code"] == 0 and first["start_time"] <= second["end_time"]
    assert server.ask("GET", second["stdout"]).text == "said\n"
    assert server.ask("GET", second["stderr"], code=206, headers={"Range": "bytes=0-7"}).text == "remarked"
    assert server.ask("GET", seen["run_log"]["stderr"]).text == "== second\nremarked\n"
    assert seen["run_log"]["exit_code"] == 0 and seen["task_logs_url"].endswith(f"/runs/{run}/tasks")


def test_a_json_body_and_a_workflow_of_the_service(server: Server) -> None:
    body = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": "known"}
    literal = {"class": "File", "contents": "literal", "basename": "in.txt"}
    run = server.ask("POST", f"{ROOT}/runs", json={**body, "workflow_params": {"file": literal}}).json()["run_id"]
    assert server.ended(run) == "COMPLETE"
    assert server.ask("GET", server.get(f"/runs/{run}")["outputs"]["out"]["location"]).text == "literal"


def test_a_run_while_it_goes_on_and_its_cancel(server: Server, tmp_path: Path) -> None:
    run = server.submit("copy.cwl", ALL, params={"file": IN, "gate": str(tmp_path / "gate")})["run_id"]
    until(lambda: server.state(run) == "RUNNING" or None, "it does not start")
    task = server.get(f"/runs/{run}/tasks")["task_logs"][0]
    until(lambda: server.ask("GET", task["stdout"]).text == "said\n" or None, "its log is not live")
    assert server.get(f"/runs/{run}")["outputs"] == {}
    assert server.get("/service-info")["system_state_counts"]["RUNNING"] >= 1
    for _ in range(2):
        assert server.ask("POST", f"{ROOT}/runs/{run}/cancel").json() == {"run_id": run}
        assert server.state(run) in ("CANCELING", "CANCELED")
    assert server.ended(run) == "CANCELED"
    assert "asked for it over HTTP" in server.get(f"/runs/{run}")["run_log"]["system_logs"][0]


def test_a_tool_that_fails(server: Server) -> None:
    run = server.submit("copy.cwl", ALL, params={"file": IN, "code": 3})["run_id"]
    assert server.ended(run) == "EXECUTOR_ERROR"
    seen = server.get(f"/runs/{run}")
    assert seen["run_log"]["exit_code"] == 1 and seen["task_logs"][0]["exit_code"] == 3
    assert seen["task_logs"][0]["cmd"][0] == "sh"
    text = server.ask("GET", seen["run_log"]["stderr"]).text
    assert text.startswith("remarked\n") and "3" in text.removeprefix("remarked\n")


def test_engine_parameters(server: Server) -> None:
    names = {entry["name"] for entry in server.get("/service-info")["default_workflow_engine_parameters"]}
    parameters = json.dumps({"reuse": "false", "on_error": "continue"})
    run = server.submit("copy.cwl", ALL, params={"file": IN}, workflow_engine_parameters=parameters)["run_id"]
    assert {"reuse", "on_error"} <= names
    assert server.site.run(run).options["on_error"] == "continue"
    assert server.ended(run) == "COMPLETE"


def test_pages_stay_while_runs_come(server: Server) -> None:
    def one() -> str:
        return str(server.submit("copy.cwl", ALL, params={"file": IN})["run_id"])

    there = [one() for _ in range(5)]
    seen: list[str] = []
    token = ""
    while True:
        page = server.get("/runs", params={"page_size": 2, "page_token": token})
        assert len(page["runs"]) <= 2
        seen += [run["run_id"] for run in page["runs"]]
        token = page["next_page_token"]
        if not token:
            break
        one()
    assert len(seen) == len(set(seen)) and seen[:5] == there[::-1]


@pytest.mark.parametrize(
    ("url", "attachments", "params", "said"),
    [
        ("no.cwl", ALL, {}, "neither an attachment nor a workflow"),
        ("copy.cwl", {"copy.cwl": "class: [", "in.txt": ""}, {}, "copy.cwl"),
        ("copy.cwl", ALL, {}, "file"),
        ("copy.cwl", ALL, {"file": {"class": "File", "location": "OUTSIDE"}}, "outside of what this run may read"),
        ("copy.cwl", ALL, {"file": {"class": "File", "location": "../in.txt"}}, "not among the attachments"),
        ("copy.cwl", ALL, {"file": {"$include": "OUTSIDE"}}, "is not taken from outside"),
        ("copy.cwl", {**ALL, "../evil": ""}, {"file": IN}, "has '..' in its name"),
        ("copy.cwl", {**ALL, "/etc/evil": ""}, {"file": IN}, "is no relative path"),
        ("OUTSIDE", {}, {}, "outside of what this run may read"),
        ("http://127.0.0.1:1/x.cwl", {}, {}, "not allowed"),
    ],
)
def test_what_is_wrong_is_said_and_leaves_nothing(
    server: Server, url: str, attachments: dict[str, str], params: dict[str, object], said: str
) -> None:
    outside = str(server.site.desk.directory / "outside.txt")
    before = set(os.listdir(server.site.desk.home / "runs")), server.site.runs()
    answer = server.submit(
        url.replace("OUTSIDE", outside), attachments, params=json.dumps(params).replace("OUTSIDE", outside), code=400
    )
    assert answer["status_code"] == 400 and said in answer["msg"]
    assert "nobody's business" not in answer["msg"] and str(server.site.desk.home) not in answer["msg"]
    assert (set(os.listdir(server.site.desk.home / "runs")), server.site.runs()) == before


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/nowhere", 404), ("GET", f"{ROOT}/runs/none", 404), ("GET", f"{ROOT}/runs/none/status", 404),
        ("GET", f"{ROOT}/runs/a%00b", 404), ("POST", f"{ROOT}/runs/none/cancel", 404), ("DELETE", f"{ROOT}/runs", 405),
        ("GET", f"{ROOT}/runs?page_size=x", 400), ("GET", f"{ROOT}/runs?page_size=0", 400),
        ("POST", f"{ROOT}/runs", 400),
        ("GET", f"{ROOT}/runs?page_token=x", 400), ("GET", f"{ROOT}/runs/none/logs/stderr", 404),
        ("GET", f"{ROOT}/runs/none/outputs/../../x", 404), ("GET", "/docs", 404),
    ],
)  # fmt: skip
def test_every_error_is_one_of_wes(server: Server, method: str, path: str, code: int) -> None:
    body = server.ask(method, path, code=code).json()
    assert body["status_code"] == code and body["msg"]
    if code == 405:
        assert server.ask(method, path, code=code).headers["allow"] == "GET, POST"


def test_only_outputs_are_outputs(server: Server) -> None:
    run = server.submit("copy.cwl", ALL, params={"file": IN})["run_id"]
    assert server.ended(run) == "COMPLETE"
    for path in ("..%2Fuploads%2Fin.txt", "%2Fetc%2Fpasswd", "out.txt%00", "none", "", ".publishing"):
        server.ask("GET", f"{ROOT}/runs/{run}/outputs/{path}", code=404)


def test_attachments_end_with_the_rest_of_a_run(server: Server) -> None:
    run = server.submit("copy.cwl", ALL, params={"file": IN})["run_id"]
    assert server.ended(run) == "COMPLETE"
    place = server.site.desk.home / "runs" / run
    output = server.get(f"/runs/{run}")["outputs"]["out"]["location"]
    assert (place / "uploads" / "in.txt").exists()
    server.site.desk("clean", "--forget", run)
    assert not (place / "uploads").exists()
    assert server.ask("GET", output).text == "some words\n"


# --- who asks -------------------------------------------------------------------------------------


def token(**claims: object) -> str:
    return jwt.encode({"sub": "carol", "scope": "read submit cancel", **claims}, SECRET, "HS256")


def test_each_caller_sees_its_own_runs(guarded: Server) -> None:
    alice, bob = guarded.key("alice", "read,submit,cancel"), guarded.key("bob", "read,submit,cancel")
    admin, carol = guarded.key("root", "admin"), guarded.who(token())
    own = '{"reuse": "false"}'  # what others have made would have no logs
    run = alice.submit("copy.cwl", ALL, params={"file": IN}, workflow_engine_parameters=own)["run_id"]
    assert alice.ended(run) == "COMPLETE"
    assert [entry["run_id"] for entry in alice.get("/runs")["runs"]] == [run]
    assert bob.get("/runs")["runs"] == carol.get("/runs")["runs"] == []
    assert run in [entry["run_id"] for entry in admin.get("/runs")["runs"]]
    task = alice.get(f"/runs/{run}/tasks")["task_logs"][0]
    output = alice.get(f"/runs/{run}")["outputs"]["out"]["location"]
    for path in (f"/runs/{run}", f"/runs/{run}/status", f"/runs/{run}/tasks", f"/runs/{run}/tasks/{task['id']}"):
        admin.get(path)
        for other in (bob, carol):
            assert other.get(path, code=404)["msg"] == other.get("/runs/none", code=404)["msg"]
    for place in (task["stdout"], output, f"{ROOT}/runs/{run}/logs/stderr"):
        alice.ask("GET", place)
        bob.ask("GET", place, code=404)
        guarded.ask("GET", place, code=401)
    bob.ask("POST", f"{ROOT}/runs/{run}/cancel", code=404)
    assert alice.get("/service-info")["system_state_counts"] == {"COMPLETE": 1}
    assert bob.get("/service-info")["system_state_counts"] == {}
    guarded.site.desk("api-keys", "remove", "bob")
    bob.ask("GET", f"{ROOT}/runs", code=403)


def test_scopes_bound_what_may_be_done(guarded: Server) -> None:
    reader, submitter, nobody = (guarded.who(token(scope=scope)) for scope in ("read", "submit", "openid"))
    reader.submit("copy.cwl", ALL, code=403)
    reader.ask("POST", f"{ROOT}/runs/none/cancel", code=403)
    submitter.ask("GET", f"{ROOT}/runs", code=403)
    nobody.ask("GET", f"{ROOT}/runs", code=403)
    run = submitter.submit("copy.cwl", ALL, params={"file": IN})["run_id"]
    assert reader.ended(run) == "COMPLETE"  # both are carol
    assert guarded.site.run(run).caller == "carol"


def test_a_token_may_be_a_password(guarded: Server) -> None:
    for password in (token(), guarded.key("dave", "read").token or ""):
        assert httpx.get(f"{guarded.url}{ROOT}/runs", auth=("anybody", password)).status_code == 200


def test_nothing_and_something_wrong(guarded: Server) -> None:
    answer = guarded.ask("GET", f"{ROOT}/runs", code=401)
    assert "Bearer" in answer.headers["www-authenticate"] and "Basic" in answer.headers["www-authenticate"]
    assert answer.json()["status_code"] == 401
    for wrong in ("celeriac_made-up", token(exp=int(time.time()) - 60), jwt.encode({"sub": "x"}, "", "none"), "x"):
        guarded.who(wrong).ask("GET", f"{ROOT}/runs", code=403)
        guarded.who(wrong).ask("GET", f"{ROOT}/service-info", code=403)
    info = guarded.get("/service-info")
    assert info["system_state_counts"] == {}
    assert guarded.ask("GET", info["auth_instructions_url"]).text.startswith("How to get in")


def test_no_token_is_written_anywhere(guarded: Server) -> None:
    mine = token(jti="canary")
    key = guarded.key("erin", "read,submit,cancel").token or ""
    for secret in (mine, key):
        run = guarded.who(secret).submit("copy.cwl", ALL, params={"file": IN})["run_id"]
        assert guarded.who(secret).ended(run) == "COMPLETE"
        guarded.ask("GET", f"{ROOT}/runs?token={secret}", code=401)
    home = guarded.site.desk.directory
    found = [
        path for path in home.rglob("*") if path.is_file() and any(s.encode() in path.read_bytes() for s in (mine, key))
    ]
    assert not found


def test_keys_are_listed_and_shown_once(site: Site) -> None:
    run = site.desk
    assert run("api-keys", "add", "frank", "--scope", "read").stdout.startswith("celeriac_")
    assert "frank has a key already" in run("api-keys", "add", "frank", "--scope", "read", code=1).stderr
    assert "some of read, submit, cancel, admin" in run("api-keys", "add", "x", "--scope", "write", code=1).stderr
    listed = {entry["name"]: entry["scopes"] for entry in run.json("api-keys", "list")}
    assert listed["frank"] == ["read"] and "frank" in run("api-keys", "list").stdout
    run("api-keys", "remove", "frank")
    assert "there is no key of 'frank'" in run("api-keys", "remove", "frank", code=1).stderr


@pytest.mark.parametrize("words", [("--port", "70000"), ("--workers", "0"), ("--host", "256.1.1.1")])
def test_a_wrong_address_is_named(site: Site, words: tuple[str, ...]) -> None:
    assert "celeriac: error: " in site.desk("api", *words, code=1, CELERIAC_API_JWT_KEY=SECRET, **HS).stderr


def test_without_a_key_it_stays_on_this_host(site: Site, tmp_path: Path) -> None:
    done = site.desk("api", "--host", "0.0.0.0", "--port", "0", code=1, CELERIAC_HOME=str(tmp_path))
    assert "there is no key by which callers can say who they are" in done.stderr
    done = site.desk("api", code=1, CELERIAC_API_JWT_KEY="/nowhere.pem")
    assert "names the file /nowhere.pem" in done.stderr


def test_a_page_in_a_browser_does_not_get_in(site: Site, tmp_path: Path) -> None:
    alone = Site(desk(tmp_path, **{**site.desk.env}))
    with serving(alone) as server:
        for headers in ({"Origin": "http://evil.example"}, {"Host": "evil.example"}):
            server.ask("GET", f"{ROOT}/runs", code=403, headers=headers)
            server.ask("POST", f"{ROOT}/runs", code=403, headers=headers)
        server.ask("GET", f"{ROOT}/runs")


# --- bounds ---------------------------------------------------------------------------------------


def test_large_requests_and_slow_clients(site: Site) -> None:
    bounds = {"api_max_body": "100000", "api_max_attachments": "3", "api_timeout": "0.5", "api_waiting": "20"}
    with serving(site, "--workers", "1", **GUARDED, **bounds) as server:
        me = server.who(token())
        me.submit("copy.cwl", {**ALL, "big": "x" * 200_000}, params={"file": IN}, code=413)
        me.submit("copy.cwl", {str(n): "" for n in range(4)}, code=413)
        begin = b'--b\r\nContent-Disposition: form-data; name="workflow_attachment"; filename="x"\r\n\r\n'
        many = [begin, *[b"x" * 50_000] * 10]
        untold = iter(many)  # its length is not told before
        me.ask("POST", f"{ROOT}/runs", content=untold, headers=FORM, code=413)
        with _connected(server, 60) as slow:
            for connection in slow[:40]:
                connection.sendall(b"GET / HT")
            begun = slow[-1]
            head = f"POST {ROOT}/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {me.token}\r\nContent-Length: 9\r\n"
            begun.sendall(f"{head}Content-Type: {FORM['Content-Type']}\r\n\r\n--".encode())
            assert me.get("/runs")["runs"] is not None
            assert b" 408 " in begun.recv(4096)
            assert not any(_is_open(connection) for connection in slow[:40])
        assert me.get("/service-info")["id"]


@pytest.mark.parametrize("path", [f"{OLD}/dags/x/dag_runs", f"{OLD}/dags/dag_runs"])
@pytest.mark.parametrize("headers", [{"Content-Type": "application/json"}, FORM])
def test_a_body_that_is_read_before_its_token_is_small(guarded: Server, path: str, headers: dict[str, str]) -> None:
    pieces = [b'{"run_id": "', *[b"x" * (1 << 20)] * 9]
    for content in (b"".join(pieces), iter(pieces)):  # with its length, and without
        refused = guarded.ask("POST", path, content=content, headers=headers, code=413)
        assert refused.headers["connection"] == "close" and refused.json()["status_code"] == 413
    assert guarded.get("/service-info")["id"]


#: What connections send that are slow after their first request: at once, and when that is answered.
LATER = {
    "a head after the answer": (INFO, PART),
    "a head with the request before it": (INFO + PART, b""),
    "a head with two requests before it": (INFO + INFO + PART, b""),
}
UNREAD = f"POST {ROOT}/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()


@pytest.mark.parametrize("kind", [*LATER, "a body after its answer"])
def test_who_is_slow_after_the_first_request_has_as_long(hasty: Server, kind: str) -> None:
    with _connected(hasty, 20, *LATER.get(kind, (UNREAD, b"x"))) as slow:
        assert not any(_is_open(connection) for connection in slow)


@pytest.mark.parametrize("kind", LATER)
def test_who_is_slow_after_the_first_request_is_counted(site: Site, kind: str) -> None:
    bounds = {"api_timeout": "100", "api_waiting": "5"}
    with serving(site, "--workers", "1", **GUARDED, **bounds) as server, _connected(server, 20, *LATER[kind]) as slow:
        until(lambda: len(select.select(slow, [], [], 0)[0]) >= 15 or None, "too many are kept")
        closed = select.select(slow, [], [], 0)[0]
        assert not any(_is_open(connection) for connection in closed)
        left = [connection for connection in slow if connection not in closed]
        assert len(left) == 5
        for connection in left:
            connection.sendall(REST)
            _answers(connection, 1)


def test_who_asks_for_nothing_just_now_is_not_slow(hasty: Server) -> None:
    with _connected(hasty, 1, INFO + INFO + PART, REST) as (quick,):
        _answers(quick, 1)
        time.sleep(HASTE + 1)
        quick.sendall(INFO)
        _answers(quick, 1)


def test_a_body_in_memory_that_does_not_come(hasty: Server) -> None:
    head = f"POST {OLD}/dags/x/dag_runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with _connected(hasty, 1) as (slow,):
        slow.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n".encode())
        assert b" 408 " in (said := slow.recv(4096)) and b"connection: close" in said.lower()


def test_who_takes_no_answers_is_left(hasty: Server) -> None:
    with _connected(hasty, 1) as (deaf,), pytest.raises(ConnectionError):
        deaf.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 200)  # more than all buffers hold
        until(lambda: deaf.sendall(b"x"), "it is kept")


@contextmanager
def _connected(server: Server, number: int, first: bytes = b"", then: bytes = b"") -> Iterator[list[socket.socket]]:
    """Connect so many times, and send ``first``, and ``then`` when that is answered; all are closed at the end."""
    host, port = server.url.removeprefix("http://").split(":")
    with ExitStack() as made:
        found: list[socket.socket] = []
        while len(found) < number:
            found.append(made.enter_context(socket.create_connection((host, int(port)), HANG)))
            found[-1].sendall(first)
            _answers(found[-1], first.count(b"Host:"))
            found[-1].sendall(then)
        yield found


def _answers(connection: socket.socket, number: int) -> None:
    """Receive so many answers; their bodies are JSON."""
    found = b""
    while found.count(b"HTTP/1.1 ") < number or number and not found.endswith(b"}"):
        piece = connection.recv(65536)
        assert piece, f"it was closed after {found!r}"
        found += piece
    assert found.count(b"HTTP/1.1 ") == number


def _is_open(connection: socket.socket) -> bool:
    """Wait till the server closes a connection; whether it says something instead."""
    try:
        return connection.recv(1) != b""
    except ConnectionError:
        return False


@pytest.mark.slow
def test_ten_thousand_slow_connections(site: Site) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = min(10_000, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with serving(site, **GUARDED) as server, ExitStack() as slow:
            me = server.who(token())
            for _ in range(number // 1000):
                slow.enter_context(_connected(server, 1000, then=PART))
                me.get("/runs")
            run = me.submit("copy.cwl", ALL, params={"file": IN})["run_id"]
            assert me.ended(run) == "COMPLETE"
            assert len(os.listdir(f"/proc/{server.process}/fd")) < 1500  # CELERIAC_API_WAITING, and what else is open
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("workers", ["1", "3"])
def test_it_ends_in_order(site: Site, tmp_path: Path, workers: str) -> None:
    with serving(site, "--workers", workers) as server:
        server.ask("GET", "/auth")
        os.kill(server.process, signal.SIGTERM)
        _, status = os.waitpid(server.process, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)


def test_processes_that_die_are_started_again(site: Site) -> None:
    with serving(site, "--workers", "2") as server:
        task = Path(f"/proc/{server.process}/task/{server.process}/children")
        before = task.read_text().split()
        assert len(before) == 2
        os.kill(int(before[0]), signal.SIGKILL)
        until(lambda: len(task.read_text().split()) == 2 and task.read_text().split() != before or None, "none came")
        for _ in range(10):
            server.ask("GET", f"{ROOT}/service-info")


def test_without_a_broker_a_run_is_in_the_journal(site: Site, tmp_path: Path) -> None:
    settings = {**site.desk.env, "CELERIAC_BROKER_URL": "redis://127.0.0.1:1/0"}
    alone = Site(desk(tmp_path, **settings))
    with serving(alone) as server:
        run = server.submit("copy.cwl", ALL, params={"file": IN})["run_id"]
        assert server.state(run) == "QUEUED"
        assert alone.run(run).state == "PENDING"
        assert server.ask("POST", f"{ROOT}/runs/{run}/cancel").json() == {"run_id": run}
        assert server.state(run) == "CANCELED"
