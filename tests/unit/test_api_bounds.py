"""What one request may cost: an application that reads it all, behind the middleware."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.api import bounds, guard
from celeriac.api.bounds import Bounds, forms
from celeriac.api.dags.routes import router as dags
from celeriac.api.room import Room
from celeriac.api.wes.routes import router as wes

FORM = "multipart/form-data; boundary=b"
JSON = "application/json"
PATH = "/takes/a/form"
PATIENCE = 100.0


def made(app: Any, most: int = 1000, patience: float = PATIENCE, *, open_to_all: bool = False) -> Bounds:
    return Bounds(app, most, patience, open_to_all, {("POST", PATH)})


async def reads(scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await answers(send, 200, str(size))


async def calls_it_bad(scope: Any, receive: Any, send: Any) -> None:
    """Do as FastAPI does with whatever goes wrong while it reads."""
    try:
        await reads(scope, receive, send)
    except Exception:
        await answers(send, 400, "There was an error parsing the body")


async def fails(scope: Any, receive: Any, send: Any) -> None:
    try:
        await reads(scope, receive, send)
    except Exception as error:
        raise RuntimeError("something else") from error


async def answers(send: Any, status: int, body: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


async def asking(
    made: Bounds,
    pieces: Iterable[bytes],
    headers: Iterable[tuple[str, str]],
    *,
    takes: bool = True,
    path: str = PATH,
    come: Callable[[], None] = lambda: None,
) -> tuple[int, dict[bytes, bytes], str]:
    """Ask with a body in pieces; at an empty one, which never comes, ``come`` is called."""
    sent: list[Any] = []
    left = list(pieces)

    async def receive() -> Any:
        piece = left.pop(0)
        if not piece:
            come()
            await asyncio.sleep(100)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: Any) -> None:
        if not takes and message["type"] == "http.response.body":
            come()
            await asyncio.sleep(100)
        sent.append(message)

    found = [(name.encode(), value.encode()) for name, value in headers]
    await made({"type": "http", "method": "POST", "path": path, "headers": found}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"].decode()


def ask(made: Bounds, pieces: Iterable[bytes], kind: str = FORM, *, takes: bool = True, path: str = PATH,
        **headers: str) -> tuple[int, str]:  # fmt: skip
    """Ask, and return status and body."""
    given = [("content-type", kind), *((name.replace("_", "-"), value) for name, value in headers.items())]
    status, _, body = asyncio.run(asking(made, pieces, given, takes=takes, path=path))
    return status, body


def test_what_is_within_bounds_passes() -> None:
    assert ask(made(reads, 10), [b"12345", b"67890"]) == (200, "10")


@pytest.mark.parametrize("pieces", [[b"12345678901"], [b"123456", b"123456"], [b"1"] * 11])
def test_what_is_too_large_is_refused(pieces: list[bytes]) -> None:
    status, body = ask(made(reads, 10), pieces)
    assert status == 413 and json.loads(body)["status_code"] == 413


def test_a_length_is_believed_before_anything_is_read() -> None:
    assert ask(made(reads, 10), [b""], content_length="11")[0] == 413


@pytest.mark.parametrize("pieces", [[b""], [b"1", b""]])
def test_who_is_too_slow_is_refused(pieces: list[bytes]) -> None:
    assert ask(made(reads, 10, 0.05), pieces)[0] == 408


def a_second_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "time", SimpleNamespace(monotonic=iter(range(1000)).__next__))


def test_drops_that_come_in_time_are_too_slow_together(monkeypatch: pytest.MonkeyPatch) -> None:
    a_second_a_look(monkeypatch)
    assert ask(made(reads, 10_000, 5.0), [b"1"] * 20)[0] == 408


@pytest.mark.parametrize(("kind", "status"), [(FORM, 200), (JSON, 408)])
def test_what_was_quick_at_first_may_not_be_slow_for_hours(
    monkeypatch: pytest.MonkeyPatch, kind: str, status: int
) -> None:
    a_second_a_look(monkeypatch)
    megabyte = b"x" * (1 << 20)
    assert ask(made(reads, 10 << 20, 5.0), [megabyte, *[b"1"] * 50], kind)[0] == status
    a_second_a_look(monkeypatch)
    assert ask(made(reads, 10 << 20, 5.0), [b"x" * (64 << 10)] * 50, kind)[0] == 200  # half a megabit is enough


def test_who_takes_no_answer_is_left() -> None:
    with pytest.raises(ConnectionAbortedError):
        ask(made(reads, 10, 0.05), [b"1"], takes=False)


@pytest.mark.parametrize("app", [calls_it_bad, fails])
@pytest.mark.parametrize(("pieces", "status"), [([b"x" * 11], 413), ([b"1", b""], 408), ([b"x" * 7], 503)])
def test_why_a_request_was_refused_is_said_whatever_the_application_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, app: Any, pieces: list[bytes], status: int
) -> None:
    monkeypatch.setattr(bounds, "HELD", 10)
    monkeypatch.setattr(bounds, "HELD_BY_ALL", 5)
    found, headers, body = asyncio.run(asking(made(app, patience=0.05), pieces, [("content-type", JSON)]))
    assert (found, json.loads(body)["status_code"], headers[b"connection"]) == (status, status, b"close")


def test_what_fails_by_itself_is_not_refused() -> None:
    async def wrong(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        ask(made(wrong), [b"1"])


def test_what_is_held_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HELD", 10)
    monkeypatch.setattr(bounds, "HELD_BY_ALL", 15)
    one = made(reads)
    assert ask(one, [b"x" * 11], JSON)[0] == 413
    assert ask(one, [b"x" * 11])[0] == 200

    async def two(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        one._app = reads
        inner = await asyncio.to_thread(ask, one, [b"x" * 9], JSON)
        await answers(send, *inner)

    one._app = two
    assert ask(one, [b"x" * 9], JSON)[0] == 503  # what is being worked on is not let go
    assert ask(one, [b"x" * 9], JSON)[0] == 200  # all of it was let go


def test_only_routes_that_take_a_form_have_no_need_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HELD", 10)
    one = made(reads)
    assert ask(one, [b"x" * 11], FORM, path="/another")[0] == 413
    assert ask(one, [b"x" * 11], "multipart/form-data-not")[0] == 413
    twice = [("content-type", JSON), ("content-type", FORM)]  # the application looks at the first
    assert asyncio.run(asking(one, [b"x" * 11], twice))[0] == 413
    assert forms([wes, dags]) == {("POST", "/ga4gh/wes/v1/runs"), ("POST", "/api/experimental/dags")}


@pytest.mark.parametrize("takes", [True, False])
def test_slow_clients_keep_nobody_out(monkeypatch: pytest.MonkeyPatch, takes: bool) -> None:
    """They bring all but the end of their bodies, or take no answers."""
    monkeypatch.setattr(bounds, "HELD", 10)
    monkeypatch.setattr(bounds, "HELD_BY_ALL", 160)
    one = made(calls_it_bad)
    kind = [("content-type", JSON)]

    async def all_at_once() -> None:
        slow = []
        for _ in range(17):
            come = asyncio.Event()
            pieces = [b"x" * 9, b""] if takes else [b"x" * 9]
            slow.append(asyncio.create_task(asking(one, pieces, kind, takes=takes, come=come.set)))
            await come.wait()
        for _ in range(20):
            assert (await asking(one, [b"x" * 5] * 2, kind))[0] == 200
        oldest, *others = slow
        await asyncio.wait([oldest])
        assert oldest.result()[0] == 503 if takes else isinstance(oldest.exception(), ConnectionAbortedError)
        assert not any(task.done() for task in others)  # 16 of 9 bytes leave room for one of 10
        for task in others:
            task.cancel()
        await asyncio.wait(others)

    asyncio.run(all_at_once())


def test_a_body_may_be_let_go_when_its_time_is_over() -> None:
    async def receive() -> Any:
        await asyncio.sleep(100)

    async def send(message: Any) -> None: ...

    async def at_once() -> None:
        found = guard.Guard(receive, send, guard.Terms(10, 0.01, 1, None))
        waiting = asyncio.create_task(found.receive())
        await asyncio.sleep(0)
        let_go = []
        asyncio.get_running_loop().call_later(0.02, lambda: let_go.append(found.let_go()))
        time.sleep(0.1)  # both are due now, its own end first
        with pytest.raises(guard.NoRoom):
            await waiting
        assert let_go == [None]

    asyncio.run(at_once())


class Held:
    def __init__(self, gone: list[Held]) -> None:
        self.waits, self.size, self._gone = True, 0, gone

    def let_go(self) -> None:
        self._gone.append(self)


STEPS = st.tuples(st.sampled_from(["comes", "comes", "is whole", "ends"]), st.integers(0, 9), st.integers(1, 60))


@given(st.lists(STEPS))
def test_a_room_lets_go_the_oldest_that_wait_and_no_more_than_it_needs(steps: list[tuple[str, int, int]]) -> None:
    room, gone = Room(100), list[Held]()
    kept: dict[int, Held] = {}  # the oldest first
    for step, number, size in steps:
        if step == "comes" and (body := kept.setdefault(number, Held(gone))).waits:
            body.size += size
            others = [other for other in kept.values() if other is not body and other.waits]
            body.waits = False  # it does not while it is counted
            room.add(body, size)
            body.waits = True
            assert gone == [*others, body][: len(gone)]
            kept = {key: one for key, one in kept.items() if one not in gone}
            left = sum(one.size for one in kept.values())
            assert left <= 100 and (not gone or left + gone[-1].size > 100)
            gone.clear()
        elif step == "is whole" and number in kept:
            kept[number].waits = False
        elif step == "ends" and number in kept:
            room.remove(kept.pop(number))


def test_without_authentication_others_are_refused_unread() -> None:
    one = made(reads, 10, open_to_all=True)
    assert ask(one, [b""], host="evil.example")[0] == 403
    assert ask(one, [b"1"], host="localhost:8080")[0] == 200
