"""Attacks and bad input over HTTP: each gets its answer, nothing is read, reached or left, and the server goes on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.acceptance import api_attacks
from tests.acceptance.api import COPY, ROOT, Server, api_site, serving
from tests.acceptance.api_attacks import Attack, Keys

CANARY = "what nobody outside may read: yellow feathers"


class Listener:
    """Listens on this host, and counts who comes."""

    def __init__(self) -> None:
        self.visits = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.visits += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


class Field:
    """A server, what lies around it, and what an attacker has."""

    def __init__(self, server: Server, keys: Keys, listener: Listener) -> None:
        self.server, self.keys, self.listener = server, keys, listener
        self.directory = server.site.desk.directory
        self.canary = self.directory / "canary.txt"
        self.own = self.submit()
        other = server.key("alice", "read,submit")
        self.other = str(other.submit("copy.cwl", {"copy.cwl": COPY}, params=api_attacks.PARAMS)["run_id"])
        self.runs = self._runs()
        self.workflows = self._workflows()

    def submit(self) -> str:
        """Submit what is right, and see it end."""
        right = api_attacks.right()
        answer = self.ask(right)
        assert answer.status_code == 200, answer.text
        return self.ended(answer, right)

    def ended(self, answer: httpx.Response, attack: Attack) -> str:
        """Wait for the end of a run that was taken; return its id."""
        run = str(answer.json()["run_id"])
        assert self.server.who(self.keys.token).ended(run) == attack.ends, attack.name
        return run

    def ask(self, attack: Attack) -> httpx.Response:
        """Send a request."""
        headers: Any = {"Authorization": f"Bearer {self.keys.token}"} if attack.headers is None else attack.headers
        files = [(name, (file, self._told(text))) for name, file, text in attack.parts]
        address = self.server.url + attack.path.replace("RUN", getattr(self, "own", "")).replace(
            "OTHER", getattr(self, "other", "")
        )
        return httpx.request(
            attack.method, address, headers=headers, params=dict(attack.query) or None, timeout=60,
            **({"files": files} if files else {}),
            **({"content": attack.content} if attack.content is not None else {}),
            **({"json": self._all(attack.body)} if attack.body is not None else {}),
        )  # fmt: skip

    def _told(self, text: str | bytes) -> str | bytes:
        if isinstance(text, bytes):
            return text
        return text.replace("{canary}", str(self.canary)).replace("{port}", str(self.listener.port))

    def _all(self, body: Mapping[str, str]) -> dict[str, Any]:
        return {name: self._told(text) for name, text in body.items()} if "token" not in body else dict(body)

    def _runs(self) -> set[str]:
        return {run["id"] for run in self.server.site.desk.json("list", "--limit", "1000000")}

    def _workflows(self) -> set[str]:
        return {path.name for path in (self.directory / "workflows").iterdir()}

    def check(self) -> None:
        """Fail if anything was reached, read or left."""
        assert self.listener.visits == 0, "somebody reached a listener of this host"
        assert self._workflows() == self.workflows
        assert self._runs() == self.runs
        assert not Path(f"{self.canary}.x").exists()
        home = self.server.site.desk.home
        for path in (*home.rglob("*"), *self.directory.glob("*.log")):
            if path.is_file() and path.stat().st_size < 100_000_000:
                assert CANARY.encode() not in path.read_bytes(), f"{path} has what nobody may read"


@pytest.fixture(scope="module")
def field(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    directory = tmp_path_factory.mktemp("attacks")
    (directory / "workflows").mkdir()
    (directory / "workflows" / "known.cwl").write_text(COPY)
    (directory / "canary.txt").write_text(CANARY)
    key, own = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "public.pem").write_bytes(public)
    private, foreign = (
        one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode() for one in (key, own)
    )
    claims = {"sub": "eve", "scope": "read submit cancel", "exp": int(time.time()) + 3600}
    listener = Listener()
    keys = Keys(jwt.encode(claims, private, "RS256"), public.decode(), private, foreign, listener.port)
    public_key = str(directory / "public.pem")
    site = api_site(directory, redis_url.removesuffix("/0") + "/10", API_JWT_KEY=public_key)
    with site.worker("one", "-c", "2"), serving(site) as server:
        yield Field(server, keys, listener)
    site.show_logs()
    listener.close()


KINDS = {
    "attachments": lambda keys: api_attacks.attachments(),
    "documents": lambda keys: api_attacks.documents(),
    "inputs": lambda keys: api_attacks.inputs(),
    "old routes": api_attacks.old_routes,
    "paths": lambda keys: api_attacks.paths(),
    "texts": lambda keys: api_attacks.texts(),
    "tokens": api_attacks.tokens,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_attack_gets_its_answer(field: Field, kind: str) -> None:
    wrong = []
    for attack in KINDS[kind](field.keys):
        answer = field.ask(attack)
        text = answer.text
        if answer.status_code != attack.code or CANARY in text or "Traceback" in text or attack.said not in text:
            wrong.append(f"{attack.name}: {answer.status_code} instead of {attack.code}: {text[:300]}")
        elif attack.ends:
            field.runs.add(field.ended(answer, attack))
        if attack.path.startswith(ROOT) and answer.status_code >= 400 and attack.method != "HEAD":
            assert set(answer.json()) >= {"msg", "status_code"}, attack.name
    assert not wrong, "\n".join(wrong)
    field.check()
    assert field.server.who(field.keys.token).get("/service-info")["supported_wes_versions"]


def test_a_run_goes_through_after_all_of_them(field: Field) -> None:
    assert field.submit() not in field.runs
