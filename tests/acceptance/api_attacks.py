"""Attacks and bad input over HTTP: each is a request with what it gets; what runs try is in tests/unit.

In texts, {canary} is a file that nobody may read, {port} that of a listener on this host which nobody may reach.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.acceptance.api import COPY, ROOT

DAGS = "/api/experimental"
#: A job that is right.
PARAMS = '{"file": {"class": "File", "contents": "one\\n", "basename": "a"}}'


@dataclass(frozen=True)
class Attack:
    """One request; without ``headers`` it is that of a caller who may do all but see others' runs."""

    name: str
    code: int
    method: str = "GET"
    path: str = f"{ROOT}/runs"
    headers: Mapping[str, str] | None = None
    body: Any = None  # JSON
    content: bytes | None = None
    parts: tuple[tuple[str, str | None, str | bytes], ...] = ()  # of a form: field, file name, text
    query: Mapping[str, str] = field(default_factory=dict)
    ends: str = ""  # it is a run, which then comes to this state
    said: str = ""  # in the answer: that it is refused for this, and not for something else


@dataclass(frozen=True)
class Keys:
    """What an attacker has: a token that is right, the public key, and a private key of his own."""

    token: str
    public: str
    private: str
    own: str
    port: int  # of the listener that nobody may reach


def tokens(keys: Keys) -> list[Attack]:
    """Return attacks by tokens."""
    now = int(time.time())
    good = {"sub": "eve", "scope": "read submit cancel", "exp": now + 600}
    head, body, mark = keys.token.split(".")
    admin = _part({**good, "scope": "admin"})
    made = {
        "a token without a signature": _unsigned({"alg": "none"}, good),
        "none in other letters": _unsigned({"alg": "nOnE"}, good),
        "the public key as a secret": _hs256(good, keys.public),
        "a token of somebody else's key": jwt.encode(good, keys.own, "RS256"),
        "another signature's name": jwt.encode(good, keys.private, "PS256"),
        "a key that comes with the token": jwt.encode(good, keys.own, "RS256", headers={"jwk": {"kty": "RSA"}}),
        "a key to be fetched": jwt.encode(good, keys.own, "RS256", headers={"jku": f"http://127.0.0.1:{keys.port}/"}),
        "a key's id that is a path": jwt.encode(good, keys.own, "RS256", headers={"kid": "../../dev/null"}),
        "other claims under a right signature": f"{head}.{admin}.{mark}",
        "a signature that is cut off": f"{head}.{body}.{mark[:-20]}",
        "no signature": f"{head}.{body}.",
        "an expired token": jwt.encode({**good, "exp": now - 3600}, keys.private, "RS256"),
        "a token of tomorrow": jwt.encode({**good, "nbf": now + 3600}, keys.private, "RS256"),
        "a token that will be made": jwt.encode({**good, "iat": now + 3600}, keys.private, "RS256"),
        "a token for somebody else": jwt.encode({**good, "aud": "another service"}, keys.private, "RS256"),
        "a token of nobody": jwt.encode({"scope": "admin", "exp": now + 600}, keys.private, "RS256"),
        "a caller with a line break": jwt.encode({**good, "sub": "eve\nadmin"}, keys.private, "RS256"),
        "a token without scopes": jwt.encode({"sub": "eve", "exp": now + 600}, keys.private, "RS256"),
        "scopes that we don't have": jwt.encode({**good, "scope": "root *"}, keys.private, "RS256"),
        "a token of 20,000 characters": f"{head}.{'A' * 20_000}.{mark}",
        "three dots": "...",
        "an API key that was made up": "celeriac_" + "A" * 43,
    }
    found = [Attack(name, 403, headers={"Authorization": f"Bearer {token}"}) for name, token in made.items()]
    headers = {
        "no token": ({}, 401),
        "an empty token": ({"Authorization": "Bearer"}, 403),
        "another kind of credentials": ({"Authorization": f"Digest {keys.token}"}, 403),
        "a password that is no base64": ({"Authorization": "Basic ***"}, 403),
        "a right token as the user's name of a wrong password": (_basic(keys.token, "wrong"), 403),
    }
    found += [Attack(name, code, headers=given) for name, (given, code) in headers.items()]
    weak = jwt.encode({"sub": "eve", "scope": "read", "exp": now + 600}, keys.private, "RS256")
    found.append(Attack("a submit with the scope read", 403, "POST", headers={"Authorization": f"Bearer {weak}"}))
    return found


def attachments() -> list[Attack]:
    """Return attacks by the names of attachments."""
    names = (
        "../x.cwl", "/etc/cron.d/x", "a/../../x", "..", "a/..", "~/x", "a\\..\\..\\x", "a/\x7fb", "x" * 300,
        "/".join("d" * 600), "\N{RIGHT-TO-LEFT OVERRIDE}lwc.x", ".", "a//../../b",
    )  # fmt: skip
    found = [_form(f"an attachment named {name[:24]!r}", files={name: "x"}) for name in names]
    found.append(_form("a file where a folder must be", files={"a": "x", "a/b": "y"}))
    many = tuple(("workflow_attachment", f"f{number}", "x") for number in range(300))
    return [*found, Attack("300 attachments", 400, "POST", parts=(*_fields("copy.cwl"), *many))]


def inputs() -> list[Attack]:
    """Return attacks by what a job's files point to."""
    places = (
        "file://{canary}", "{canary}", "../../../../../../..{canary}", "file://localhost{canary}",
        "file:///%2e%2e/{canary}", "file:{canary}", "FILE://{canary}", "/proc/self/environ", "/dev/zero",
        "http://127.0.0.1:{port}/x", "http://localhost:{port}/x", "http://[::1]:{port}/x",
        "http://[::ffff:127.0.0.1]:{port}/x", "http://2130706433:{port}/x", "http://0x7f000001:{port}/x",
        "http://0177.0.0.1:{port}/x", "http://127.1:{port}/x", "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/x", "http://user:word@127.0.0.1:{port}/x", "http://0:{port}/x", "ftp://127.0.0.1/x",
        "gopher://127.0.0.1:{port}/x", "unix:///run/docker.sock", "jar:file://{canary}!/", "s3://bucket/x",
        "http://[x", "file://[x/{canary}",
    )  # fmt: skip
    found = [_job(f"an input at {place[:48]}", {"class": "File", "location": place}) for place in places]
    literal = {"class": "File", "basename": "a", "contents": "a"}
    beside = {"class": "File", "location": "file://{canary}"}
    folder = {"class": "Directory", "basename": "d", "listing": [beside]}
    return [
        *found,
        _job("a file beside an input", {**literal, "secondaryFiles": [beside]}),
        _job("a file in a folder that is made up", {**literal, "secondaryFiles": [folder]}),
        _form(
            "an input's name that climbs", ends="EXECUTOR_ERROR",
            params=json.dumps({"file": {**literal, "basename": "../../x"}}),
        ),
        _job("an included text", {"$include": "{canary}"}),
        _job("an imported text", {"$import": "file://{canary}"}),
    ]


def documents() -> list[Attack]:
    """Return attacks by documents, and by where they are said to be."""
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join(f'*a{n - 1}' for _ in range(10))}]\n" for n in range(1, 12)
    )
    head = "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: [cat]\ninputs: {file: File}\noutputs: []\n"
    docker = "requirements: {DockerRequirement: {dockerPull: debian, dockerFile: {$include: '{canary}'}}}\n"
    flow = "cwlVersion: v1.2\nclass: Workflow\ninputs: {file: File}\noutputs: []\n"
    step = flow + "steps: {s: {run: '%s', in: {}, out: []}}\n"
    texts = {
        "a bomb of aliases": bomb,
        "an alias that holds itself": "a: &a [*a]\n" + head,
        "100,000 brackets": "[" * 100_000,
        "100,000 nested maps": "{a: " * 100_000,
        "an included canary": head + "doc: {$include: 'file://{canary}'}\n",
        "an imported canary": head + "hints: {$import: '{canary}'}\n",
        "a step that runs the canary": step % "file://{canary}",
        "a step that runs what is fetched here": step % "http://127.0.0.1:{port}/x.cwl",
        "a document that imports itself": "$import: copy.cwl\n",
        "a step that runs its own workflow": step % "copy.cwl",
        "a schema that is fetched here": head + "$schemas: ['http://127.0.0.1:{port}/x']\n",
        "an image that is built from a text": head + docker,
        "bytes that are no text": b"\xff\xfe\x00\x01" * 100,
        "nothing": "",
        "an unknown class": head.replace("CommandLineTool", "os.system"),
    }
    found = [_form(name, files={"copy.cwl": text}, where="copy.cwl") for name, text in texts.items()]
    urls = (
        "file://{canary}", "{canary}", "../copy.cwl", "http://127.0.0.1:{port}/x.cwl", "http://localhost:{port}/",
        "javascript:alert(1)", "known/../../canary", "", "\u202eknown", "known#../../x", "https://[::1]:{port}/x",
        "file://[x", "http://[x",
    )  # fmt: skip
    tagged = {"copy.cwl": head + "doc: !!python/object/apply:os.system ['touch {canary}.x']\n"}
    found.append(_form("a tag that makes objects is a text", files=tagged, ends="COMPLETE"))
    return [*found, *(_form(f"a document at {url[:40]!r}", where=url) for url in urls)]


def right() -> Attack:
    """Return the request that most of the attacks differ from in one thing."""
    return _form("a request that is right", ends="COMPLETE")


def texts() -> list[Attack]:
    """Return requests whose fields are not what they have to be."""
    params = {
        "10,000 brackets": "[" * 10_000, "a number without an end": '{"file": ' + "9" * 10_000 + "}",
        "a number that is none": '{"file": NaN}', "an infinite number": '{"file": 1e999}',
        "a list for a job": "[1]", "no JSON": "{'file': 1}",
        "half a surrogate": '{"file": "\\ud800"}',
    }  # fmt: skip
    found = [_form(f"a job that is {name}", params=text) for name, text in params.items()]
    found += [
        _form("tags that are no texts", tags='{"a": {"b": 1}}'),
        _form("another language", workflow_type="WDL"),
        _form("an unknown option of the engine", workflow_engine_parameters='{"outdir": "/etc"}'),
        _form("an option that leaves the container", workflow_engine_parameters='{"use_container": false}'),
        Attack("a body that is no form", 400, "POST", content=b"\x00\x01"),
    ]
    return found


def paths() -> list[Attack]:
    """Return attacks by addresses."""
    addresses = {
        f"{ROOT}/runs/..%2f..%2f..%2fetc%2fpasswd": 404,
        f"{ROOT}/runs/%00": 404,
        f"{ROOT}/runs/x%0d%0aSet-Cookie:%20a=b": 404,
        f"{ROOT}/runs/{'a' * 5000}": 404,
        f"{ROOT}/runs/RUN/outputs/..%2f..%2f..%2f..%2fcanary.txt": 404,
        f"{ROOT}/runs/RUN/outputs/%2e%2e/%2e%2e/canary.txt": 404,
        f"{ROOT}/runs/RUN/outputs//etc/passwd": 404,
        f"{ROOT}/runs/RUN/outputs/%2fetc%2fpasswd": 404,
        f"{ROOT}/runs/RUN/logs/..%2f..%2fcanary.txt": 404,
        f"{ROOT}/runs/RUN/tasks/..%2f..%2fx": 404,
        f"{ROOT}/../../etc/passwd": 404,
        "/ga4gh/wes/v1/../../../openapi.json/..": 404,
        "/.git/config": 404,
        "/docs": 404,
    }
    found = [Attack(f"the address {path[-40:]}", code, path=path) for path, code in addresses.items()]
    queries = (
        {"page_size": "-1"}, {"page_size": "x"}, {"page_token": "'; DROP TABLE runs"}, {"page_token": "A" * 9000},
    )  # fmt: skip
    found += [Attack(f"the query {str(query)[:40]}", 400, query=query) for query in queries]
    found += [
        Attack("an unknown method", 405, "TRACE"),
        Attack("a method that is another's", 405, "DELETE"),
        Attack("somebody else's run", 404, path=f"{ROOT}/runs/OTHER"),
        Attack("somebody else's run, cancelled", 404, "POST", f"{ROOT}/runs/OTHER/cancel"),
    ]
    return found


def old_routes(keys: Keys) -> list[Attack]:
    """Return attacks on the routes of CWL-Airflow."""

    def post(
        name: str, code: int, run: str = "one", conf: str = "{}", dag: str = "known", claims: Any = None, key: str = "",
        said: str = "",
    ) -> Attack:
        asked = {"run_id": run, "conf": conf}
        token = jwt.encode(asked if claims is None else claims, key or keys.private, "RS256")
        path = f"{DAGS}/dags/{dag}/dag_runs"
        return Attack(name, code, "POST", path, headers={}, body={**asked, "token": token}, said=said)

    right = json.loads(PARAMS)
    out = json.dumps({"job": {**right, "output_folder": "/etc/cron.d"}})
    temporary = json.dumps({"job": {**right, "tmp_folder": "/etc"}})
    packed = base64.b64encode(zlib.compress(b"\0" * 300_000_000)).decode()
    dags = f"{DAGS}/dags"
    return [
        post("claims of another run", 403, claims={"run_id": "two", "conf": "{}"}),
        post("claims with less in them", 403, claims={"run_id": "one"}),
        post("a body that somebody else signed", 403, key=keys.own),
        Attack("an unsigned body", 403, "POST", f"{DAGS}/dags/known/dag_runs", {}, {"run_id": "one", "conf": "{}"}),
        post("a workflow's name that climbs", 404, dag="..%2fknown"),
        post("a hidden workflow", 400, dag=".known"),
        post("a run's name that climbs", 400, run="../../x"),
        post("a conf that is no JSON", 400, conf="{'a'"),
        post("outputs to where nobody may write", 400, conf=out, said="outside of what"),
        post("work where nobody may write", 400, conf=temporary, said="outside of what"),
        Attack("300 MB, packed", 400, "POST", dags, parts=(("workflow_content", None, packed),), query={"dag_id": "b"}),
        Attack("a workflow named as a path", 400, "POST", dags, query={"dag_id": "../x", "workflow_content": "eJwDAA"}),
    ]


# --- parts ----------------------------------------------------------------------------------------


def _fields(where: str, **others: str) -> tuple[tuple[str, str | None, str | bytes], ...]:
    given = {"workflow_type": "CWL", "workflow_type_version": "v1.2", "workflow_url": where, **others}
    return tuple((name, None, text) for name, text in given.items())


def _form(
    name: str, files: Mapping[str, str | bytes] | None = None, where: str = "copy.cwl", ends: str = "", **others: str
) -> Attack:
    there: dict[str, str | bytes] = {"copy.cwl": COPY, **(files or {})}
    others["workflow_params"] = others.pop("params", PARAMS)
    parts = (*_fields(where, **others), *(("workflow_attachment", file, text) for file, text in there.items()))
    return Attack(name, 200 if ends else 400, "POST", parts=parts, ends=ends)


def _job(name: str, file: Any) -> Attack:
    return _form(name, params=json.dumps({"file": file}))


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(head: Any, claims: Any) -> str:
    return f"{_part({'typ': 'JWT', **head})}.{_part(claims)}."


def _hs256(claims: Any, secret: str) -> str:
    text = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    mark = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"
