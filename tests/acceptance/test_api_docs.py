"""The examples of docs/api.md, one after the other, with a real server and a real worker."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.acceptance.api import Server, api_site, serving
from tests.acceptance.commands import HANG

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
EXAMPLES = re.findall(r"^```(sh|python)\n(.*?)^```", PAGE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
COUNT = EXAMPLES[0][1].partition("<<'CWL'\n")[2].partition("CWL\n")[0]
#: What each prints.
SAID = [
    r'\{"run_id":"[0-9a-f]+"\}',
    r'"state":"\w+".*"run_id":',
    "COMPLETE.*2 ",
    "\"dag_id\": \"count\"|'dag_id': 'count'",
    "tuesday",
]


@pytest.fixture(scope="module")
def server(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("docs")
    (directory / "workflows").mkdir()
    (directory / "workflows" / "count.cwl").write_text(COUNT)
    (directory / "client").mkdir()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "client" / "private.pem").write_bytes(private)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "public.pem").write_bytes(public)
    public_key = str(directory / "public.pem")
    site = api_site(directory, redis_url.removesuffix("/0") + "/15", API_JWT_KEY=public_key)
    with site.worker("one", "-c", "2"), serving(site) as found:
        yield found.key("docs", "admin")
    site.show_logs()


def test_every_example(server: Server) -> None:
    assert len(EXAMPLES) == len(SAID)
    here = server.site.desk.directory / "client"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**server.site.desk.environment(), "PATH": path, "URL": server.url, "TOKEN": server.token or ""}
    for (kind, text), said in zip(EXAMPLES, SAID, strict=True):
        argv = ["sh", "-eu", "-c", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(argv, cwd=here, env=environment, capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 0, text + done.stdout + done.stderr
        assert re.search(said, done.stdout, flags=re.DOTALL), text + done.stdout


def test_what_trigger_says_when_it_is_refused(server: Server) -> None:
    desk = server.site.desk
    done = desk("trigger", "--url", server.url, "-d", "count", code=1)
    assert "refused it (403)" in done.stderr
    (desk.directory / "token").write_text(server.token or "")
    done = desk("trigger", "--url", server.url, "-d", "none", "--token", "token", code=1)
    assert "refused it (404): there is no workflow 'none'" in done.stderr
    assert "is no JSON" in desk("trigger", "-d", "x", "-c", "{", code=1).stderr
    assert "does not answer" in desk("trigger", "--url", "http://127.0.0.1:1", "-d", "x", code=1).stderr
    assert "can't be read" in desk("trigger", "-d", "x", "--key", "/none.pem", code=1).stderr
    order = '{"remove_dag_id": "count", "remove_run_id": "never was"}'
    done = desk("trigger", "--url", server.url, "-d", "clean_dag_run", "-r", "s", "-c", order, "--token", "token")
    assert done.stdout == "s\n"
