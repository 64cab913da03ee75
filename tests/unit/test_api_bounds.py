"""What one request may cost: an application that reads it all, behind the middleware."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from celeriac.api import bounds
from celeriac.api.bounds import Bounds

FORM = "multipart/form-data; boundary=b"


async def reads(scope: Any, receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def ask(
    made: Bounds, pieces: Iterable[bytes], kind: str = FORM, *, takes: bool = True, **headers: str
) -> tuple[int, str]:
    """Ask with a body in pieces; an empty one is one that never comes. Returns status and body."""
    sent: list[Any] = []
    left = list(pieces)

    async def receive() -> Any:
        piece = left.pop(0)
        if not piece:
            await asyncio.sleep(100)
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    async def send(message: Any) -> None:
        if not takes and message["type"] == "http.response.body":
            await asyncio.sleep(100)
        sent.append(message)

    given = {"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in given.items()]}
    asyncio.run(made(scope, receive, send))
    return sent[0]["status"], sent[1]["body"].decode()


def test_what_is_within_bounds_passes() -> None:
    assert ask(Bounds(reads, 10, 5.0, False), [b"12345", b"67890"]) == (200, "10")


@pytest.mark.parametrize("pieces", [[b"12345678901"], [b"123456", b"123456"], [b"1"] * 11])
def test_what_is_too_large_is_refused(pieces: list[bytes]) -> None:
    status, body = ask(Bounds(reads, 10, 5.0, False), pieces)
    assert status == 413 and json.loads(body)["status_code"] == 413


def test_a_length_is_believed_before_anything_is_read() -> None:
    assert ask(Bounds(reads, 10, 5.0, False), [b""], content_length="11")[0] == 413


@pytest.mark.parametrize("pieces", [[b""], [b"1", b""]])
def test_who_is_too_slow_is_refused(pieces: list[bytes]) -> None:
    assert ask(Bounds(reads, 10, 0.05, False), pieces)[0] == 408


def test_drops_that_come_in_time_are_too_slow_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds.time, "monotonic", iter(range(1000)).__next__)  # each look a second later
    assert ask(Bounds(reads, 10_000, 5.0, False), [b"1"] * 20)[0] == 408


def test_who_takes_no_answer_is_left() -> None:
    with pytest.raises(ConnectionAbortedError):
        ask(Bounds(reads, 10, 0.05, False), [b"1"], takes=False)


def test_what_is_held_in_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "HELD", 10)
    monkeypatch.setattr(bounds, "HELD_BY_ALL", 15)
    made = Bounds(reads, 1000, 5.0, False)
    assert ask(made, [b"x" * 11], "application/json")[0] == 413
    assert ask(made, [b"x" * 11])[0] == 200

    async def two(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        made._app = reads
        inner = await asyncio.to_thread(ask, made, [b"x" * 9], "application/json")
        await send({"type": "http.response.start", "status": inner[0], "headers": []})
        await send({"type": "http.response.body", "body": inner[1].encode()})

    made._app = two
    assert ask(made, [b"x" * 9], "application/json")[0] == 503
    assert ask(made, [b"x" * 9], "application/json")[0] == 200  # all of it was let go


def test_without_authentication_others_are_refused_unread() -> None:
    made = Bounds(reads, 10, 5.0, True)
    assert ask(made, [b""], host="evil.example")[0] == 403
    assert ask(made, [b"1"], host="localhost:8080")[0] == 200
