"""Notices go to a real listener over HTTP: in order, once per key, whatever it does with them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from celeriac.engine.notify import address, deliver
from celeriac.journal import notices
from celeriac.journal.database import Database
from celeriac.notify.post import post, shown
from celeriac.notify.retry import Kind
from celeriac.settings import Settings
from tests.integration.listener import DRIP, DROP, FORGET_ANSWER, HANG, Deed, Listener, listening
from tests.unit.test_journal_contract import at_once
from tests.unit.test_journal_notices import left, pass_time

RUN = "r"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening(Listener()) as made:
        yield made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(f"sqlite:///{tmp_path / 'journal.db'}")
    yield made
    made.close()


def configured(listener: Listener, **more: Any) -> Settings:
    given_ = {"notify_url": listener.url, "notify_timeout": 20.0, "notify_backoff": 100.0, **more}
    return replace(Settings(), **given_)


def write(database: Database, number: int, route: str = "status", run: str = RUN, target: str = "") -> None:
    with database.begin() as connection:
        notices.add(connection, run, [(route, target, {"n": n}) for n in range(number)])


def numbers(listener: Listener) -> list[int]:
    return [one.payload["n"] for one in listener.taken]


# --- where, and what -------------------------------------------------------------------------------


def test_each_kind_has_its_route(listener: Listener, database: Database) -> None:
    for route in ("status", "progress", "results"):
        write(database, 1, route)
    deliver(database, configured(listener, notify_routes="status=v2/state"), RUN)
    assert [one.path for one in listener.taken] == ["/airflow/v2/state", "/airflow/progress", "/airflow/results"]
    first = listener.taken[0]
    assert first.body == {"payload": {"n": 0}}
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"].startswith("celeriac/")
    assert left(database) == []


def test_events_go_to_the_listener_itself(listener: Listener, database: Database) -> None:
    write(database, 1, "weblog", target=f"{listener.url}hook?from=here")
    deliver(database, Settings(), RUN)
    (found,) = listener.taken
    assert (found.path, found.body) == ("/airflow/hook?from=here", {"n": 0})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h", "http://h/status"),
        ("http://h/", "http://h/status"),
        ("http://h:8/a/b", "http://h:8/a/b/status"),
        ("https://h/a?x=1", "https://h/a/status?x=1"),
    ],
)
def test_routes_are_below_the_listeners_address(url: str, expected: str) -> None:
    assert address(Settings(), url, "status") == expected
    assert address(Settings(notify_url=url), "", "status") == expected
    assert address(Settings(notify_url=url), "", "weblog") == url


def test_a_user_and_a_password_are_sent_and_not_shown(listener: Listener) -> None:
    url = listener.url.replace("://", "://me:s3%40cret@")
    assert post(f"{url}status?token=t0ken", b"{}", "k", 5).kind is Kind.DELIVERED
    assert listener.posts[0].headers["authorization"] == "Basic bWU6czNAY3JldA=="
    assert shown(f"{url}status?token=t0ken") == f"{listener.url}status"
    away = post("http://me:s3cret@127.0.0.1:1/?token=t0ken", b"{}", "k", 5)
    assert (away.kind, away.reason) == (Kind.AWAY, "http://127.0.0.1:1/ can't be reached: Connection refused")


def test_what_is_signed_arrives_signed(listener: Listener, database: Database, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    path = tmp_path / "key.pem"
    settings_ = configured(listener, notify_key=str(path))
    write(database, 2)
    deliver(database, settings_, RUN)
    assert listener.posts == []  # nothing to sign with: it waits
    with database.read() as connection:
        rows = notices.listing(connection)
    assert "CELERIAC_NOTIFY_KEY can't be read" in rows[0].error and not rows[0].dead
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    pass_time(database, 1000)
    deliver(database, settings_, RUN)
    claims = [jwt.decode(one.payload, key.public_key(), ["RS256"]) for one in listener.taken]
    assert claims == [{"n": 0}, {"n": 1}]


def test_what_was_to_be_signed_is_not_sent_by_somebody_without_a_key(listener: Listener, database: Database) -> None:
    with database.begin() as connection:
        notices.add(connection, RUN, [("status", "", {"n": 0})], signed=True)
    deliver(database, configured(listener), RUN)
    assert listener.posts == []
    with database.read() as connection:
        assert "it is to be signed, and CELERIAC_NOTIFY_KEY is not set" in notices.listing(connection)[0].error
    pass_time(database, 1000)
    secret = "s" * 32
    deliver(database, configured(listener, notify_key=secret, notify_algorithm="HS256"), RUN)
    assert [jwt.decode(one.payload, secret, ["HS256"]) for one in listener.taken] == [{"n": 0}]


# --- what a listener may do ------------------------------------------------------------------------


def test_a_redirect_is_not_followed(listener: Listener, database: Database) -> None:
    write(database, 1)
    listener.deed = lambda path: 307
    deliver(database, configured(listener), RUN)
    assert len(listener.posts) == 1
    with database.read() as connection:
        assert notices.listing(connection)[0].error == "it answered 307: redirects are not followed"


def test_what_is_refused_for_good_lets_the_next_pass(listener: Listener, database: Database) -> None:
    write(database, 2)
    answers = iter([404, 404, 404, 200])
    listener.deed = lambda path: next(answers)
    for _ in range(3):
        deliver(database, configured(listener), RUN)
        pass_time(database, 1000)
    assert left(database) == [(0, True)]
    with database.begin() as connection:
        assert notices.revive(connection) == [RUN]
    listener.deed = lambda path: 200
    deliver(database, configured(listener), RUN)
    assert left(database) == []


def test_nobody_there_is_given_up_together(database: Database, listener: Listener) -> None:
    settings_ = configured(listener, notify_tries=2, notify_url="http://127.0.0.1:1/")
    write(database, 3)
    for _ in range(2):
        deliver(database, settings_, RUN)
        pass_time(database, 1000)
    assert left(database) == [(0, True), (1, True), (2, True)]


@pytest.mark.parametrize("deed", [HANG, DRIP])
def test_a_listener_that_does_not_come_to_an_end_is_cut_off(
    listener: Listener, database: Database, deed: Deed
) -> None:
    write(database, 1)
    listener.deed = lambda path: deed
    deliver(database, configured(listener, notify_timeout=0.5), RUN)  # a hang here fails the test
    with database.read() as connection:
        (row,) = notices.listing(connection)
    assert row.error == f"{listener.url}status does not answer within 0.5 s"


def test_what_is_no_http_is_no_answer(database: Database) -> None:
    answer = post("http://127.0.0.1:1/", b"x" * (64 * 1024 * 1024 + 1), "k", 1)
    assert answer.kind is Kind.TOO_LARGE
    assert post("http://nobody.invalid/", b"", "k", 20).kind is Kind.AWAY


def test_many_deliver_one_line(listener: Listener, database: Database) -> None:
    write(database, 30)
    settings_ = configured(listener)
    at_once(lambda _: deliver(database, settings_, RUN), 4)
    deliver(database, settings_, RUN)
    assert [one.payload["n"] for one in listener.posts] == list(range(30))


def test_who_dies_in_the_midst_of_it_has_it_sent_again_under_its_key(listener: Listener, database: Database) -> None:
    write(database, 2)
    with database.begin() as connection:
        dead = notices.claim(connection, RUN, "", 30.0)
    assert dead is not None
    assert post(address(configured(listener), "", "status") or "", b'{"payload": {"n": 0}}', dead.key, 5)
    deliver(database, configured(listener), RUN)
    assert len(listener.posts) == 1  # it is in somebody's hands, as far as anybody knows
    pass_time(database, 31)
    deliver(database, configured(listener), RUN)
    assert [one.key for one in listener.posts[:2]] == [dead.key] * 2
    assert numbers(listener) == [0, 1]


deeds: st.SearchStrategy[Deed] = st.sampled_from([200, 200, 204, 500, 503, 429, 408, DROP, FORGET_ANSWER])
_names = itertools.count()


@given(st.lists(deeds, max_size=20), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_in_order_and_once_per_key_whatever_the_listener_does(
    tmp_path_factory: pytest.TempPathFactory, script: list[Deed], own: int, others: int
) -> None:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('line')}/journal.db")
    script = list(script)
    with listening(Listener(lambda path: script.pop(0) if script else 200)) as listener:
        write(database, own)
        write(database, others, run="s")
        with database.read() as connection:
            keys = {run: [r.key for r in notices.listing(connection, of=[run])] for run in (RUN, "s")}
        for _ in range(len(script) + 2):
            for run in (RUN, "s"):
                deliver(database, configured(listener, notify_longest=100.0), run)
            pass_time(database, 200)
        with database.read() as connection:
            assert notices.listing(connection) == []
        taken = [one.key for one in listener.taken]
        for run in (RUN, "s"):
            assert [key for key in taken if key in keys[run]] == keys[run]
        assert len(taken) == own + others
        bodies: dict[str, set[str]] = {}
        for one in listener.posts:
            bodies.setdefault(one.key, set()).add(str(one.body))
        assert all(len(found) == 1 for found in bodies.values())
    database.close()


def test_a_new_listener_is_asked_soon_after_the_old_one_went(database: Database) -> None:
    """What waits for one that was away goes out in order when it is back, and nothing that was written meanwhile."""
    one = Listener()
    with listening(one):
        port = one.port
    settings_ = configured(one, notify_backoff=0.01, notify_longest=0.05)
    write(database, 2)
    deliver(database, settings_, RUN)
    with database.begin() as connection:
        notices.add(connection, RUN, [("status", "", {"n": 2})])
    with listening(Listener(port=port)) as back:
        while left(database):
            deliver(database, settings_, RUN)
            time.sleep(0.01)
    assert numbers(back) == [0, 1, 2]
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM notices")).scalar_one() == 0
