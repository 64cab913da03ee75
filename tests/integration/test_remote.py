"""What runs from outside get over http, from a real server on loopback."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from celeriac.access import Access
from celeriac.document import outside
from celeriac.document.remote import REDIRECTS, Remote
from celeriac.errors import AccessError, CeleriacError, InputError
from tests.unit.outside_site import expression, reader, site, tool, workflow

HANG = 60.0


@dataclass
class Server:
    """A server, and what it was asked."""

    port: int
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, Host

    def url(self, path: str, host: str = "good.org") -> str:
        return f"http://{host}:{self.port}{path}"

    def remote(self, addresses: list[str] | None = None, **access: object) -> Remote:
        allowed = Access(hosts=("good.org:*",), private=True, **access)  # type: ignore[arg-type]
        return Remote(allowed, lambda host: addresses or ["127.0.0.1"])


@contextmanager
def serving() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append((self.path, self.headers["Host"]))
            name, _, rest = self.path[1:].partition("/")
            if name == "to":
                self.answer(302, b"", Location=rest.replace("PORT", str(made.port)))
            elif name == "loop":
                self.answer(302, b"", Location=f"/loop/{int(rest) + 1}")
            elif name == "hops":
                self.answer(302, b"", Location=f"/hops/{int(rest) - 1}" if int(rest) > 1 else "/text")
            elif name == "large":
                self.answer(200, b"x" * 100_000)
            elif name == "short":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"x")
            elif name == "endless":
                self.send_response(200)
                self.end_headers()
                while True:
                    self.wfile.write(b"x" * 1000)
            elif name == "zip":
                self.answer(200, b"\x1f\x8b", **{"Content-Encoding": "gzip"})
            elif name == "missing":
                self.answer(404, b"")
            else:
                self.answer(200, b"text")

        def answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *rest: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Server(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


def test_a_text_comes_from_the_address_that_was_looked_at(server: Server) -> None:
    assert server.remote().text(server.url("/text?a=b"), 100, HANG) == "text"
    assert server.asked == [("/text?a=b", f"good.org:{server.port}")]


def test_a_name_is_looked_up_once_a_request(server: Server) -> None:
    answers = [["127.0.0.1"], ["169.254.169.254"]]
    remote = Remote(Access(hosts=("good.org:*",), private=True), lambda host: answers.pop(0))
    assert remote.text(server.url("/text"), 100, HANG) == "text"
    assert len(answers) == 1


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    assert server.remote().text(server.url("/text"), 100, HANG) == "text"


@pytest.mark.parametrize(
    "leads_to",
    [
        "http://[x/",
        "http://127.0.0.1:PORT/text",
        "http://localhost:PORT/text",
        "//127.0.0.1:PORT/text",
        "http://evil.org/",
        "file:///etc/passwd",
        "ftp://good.org/x",
        "http://user:pw@good.org:PORT/text",
        "http://2130706433:PORT/",
        "http://[::ffff:127.0.0.1]:PORT/",
    ],
)
def test_redirects_are_checked_as_the_first_url_was(server: Server, leads_to: str) -> None:
    with pytest.raises(AccessError):
        server.remote().text(server.url("/to/" + leads_to), 100, HANG)
    assert len(server.asked) == 1


def test_a_redirect_to_a_private_address_is_refused(server: Server) -> None:
    addresses = {"good.org": "127.0.0.1", "next.org": "10.0.0.1"}
    access = Access(hosts=("good.org:*", "next.org"), private=False)
    remote = Remote(access, lambda host: [addresses[host]])
    with pytest.raises(AccessError, match="private network"):
        remote.text(server.url("/text"), 100, HANG)
    assert server.asked == []


def test_so_many_redirects_are_followed_and_no_more(server: Server) -> None:
    assert server.remote().text(server.url(f"/hops/{REDIRECTS}"), 100, HANG) == "text"
    with pytest.raises(AccessError, match="redirects"):
        server.remote().text(server.url("/loop/0"), 100, HANG)


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_what_is_too_large_is_left(server: Server, path: str, tmp_path: Path) -> None:
    with pytest.raises(AccessError, match="bytes"):
        server.remote().text(server.url(path), 1000, HANG)
    with pytest.raises(AccessError, match="bytes"):
        server.remote(download=1000).download(server.url(path), tmp_path / "x", lambda: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/zip", "/missing", "/short"])
def test_what_is_no_whole_text_is_an_error(server: Server, path: str) -> None:
    with pytest.raises(InputError):
        server.remote().text(server.url(path), 1000, HANG)


def test_a_server_that_never_ends_its_headers_is_left() -> None:
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with closing(connection):
            connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        remote = Remote(Access(hosts=("good.org:*",), private=True), lambda host: ["127.0.0.1"])
        with pytest.raises(InputError):
            remote.text(f"http://good.org:{listener.getsockname()[1]}/", 100, 0.5)
        stop.set()
        thread.join(10)


def test_a_download_is_whole_or_not_there(server: Server, tmp_path: Path) -> None:
    server.remote().download(server.url("/text"), tmp_path / "x", lambda: None)
    assert (tmp_path / "x").read_text() == "text"

    def stop() -> None:
        raise InputError("stop")

    with pytest.raises(InputError, match="stop"):
        server.remote().download(server.url("/text"), tmp_path / "y", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


# --- through whole runs --------------------------------------------------------------------------


def test_nobody_connects_to_loopback_unless_it_is_allowed(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    urls = [server.url("/x", host) for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]")]
    documents = [
        *urls,
        tool(doc={"$include": urls[0]}),
        tool(inputs={"f": {"type": "File", "default": {"class": "File", "location": urls[0]}}}),
        workflow({"one": {"run": urls[1], "in": {}, "out": []}}),
        expression(f"${{return {{'out': {{'class': 'File', 'basename': 'x', 'location': '{urls[0]}'}}}}}}", "File"),
    ]
    with site(tmp_path, caplog, hosts=("*:*",)) as here:
        for document in documents:
            where, error = here.attempt(document)
            assert isinstance(error, AccessError), (document, where, error)
        for url in urls:
            where, error = here.attempt(tool(inputs={"f": "File"}), {"f": {"class": "File", "location": url}})
            assert isinstance(error, AccessError), (url, where, error)
    assert server.asked == []


def test_what_is_allowed_is_got_once_for_all_jobs(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words: list[str] = []

    def play(given: object) -> str:
        words.extend(given)  # type: ignore[call-overload]
        return "said"

    url = server.url("/a%20b.txt", "127.0.0.1")
    process = tool(inputs={"f": "File"}, arguments=["$(inputs.f.path)"], outputs={"g": "stdout"}, stdout="said")
    document = workflow(
        {name: {"run": process, "in": {"f": "f"}, "out": ["g"]} for name in ("one", "two")},
        inputs={"f": "File"},
        outputs={"out": {"type": "File", "outputSource": "f"}},
    )
    with site(tmp_path, caplog, play, hosts=("127.0.0.1:*",), private=True) as here:
        assert here.attempt(document, {"f": {"class": "File", "location": url}}) == ("", None)
        assert [path.name for path in here.root.rglob("*") if path.name.startswith("a b")]
    assert len(words) == 2
    assert server.asked == [("/a%20b.txt", f"127.0.0.1:{server.port}")]


def test_all_files_of_a_document_have_so_long_together(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would come in time alone; while it loads, other documents of the process wait."""
    clock = itertools.count(step=10.0)
    monkeypatch.setattr(outside, "time", SimpleNamespace(monotonic=lambda: next(clock)))  # it is asked at each file
    with site(tmp_path, caplog, hosts=("127.0.0.1:*",), private=True) as here:
        monkeypatch.setattr(outside, "REMOTE_TIME", 35.0)
        steps = {f"s{n}": {"run": server.url(f"/{n}.cwl", "127.0.0.1"), "in": {}, "out": []} for n in range(9)}
        where, error = here.attempt(workflow(steps))
    assert where == "submit" and "took 35 s together" in str(error), error
    assert 1 <= len(server.asked) < 5


def test_a_document_over_http_reads_nothing_of_this_host(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with site(tmp_path, caplog, hosts=("127.0.0.1:*",), private=True) as here:
        (here.data / "ok").write_text("fine")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Remote, "text", lambda self, url, *rest: f"class: {{$include: 'file://{here.data}/ok'}}")
            where, error = here.attempt(server.url("/doc.cwl", "127.0.0.1"))
        assert where == "submit" and isinstance(error, CeleriacError), error
        assert "fine" not in str(error)
        assert here.attempt(reader(), {"file": {"class": "File", "location": str(here.data / "ok")}}) == ("", None)
