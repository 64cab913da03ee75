"""Celery's results in the journal's database, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, chord, group, states
from celery.contrib.testing.worker import start_worker
from celery.exceptions import ChordError
from celery.exceptions import TimeoutError as CeleryTimeout
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from celeriac.errors import JournalUnavailable, SettingsError
from celeriac.journal.results import INTERVAL, NAME, TIDY, TIDY_EVERY, JournalBackend
from celeriac.journal.tables import results
from celeriac.settings import Settings

#: Seconds after which a test that hangs is given up.
PATIENCE = 30


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def journal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a journal, shared by tests that each use names of their own."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('results') / 'journal.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERIAC_JOURNAL_URL", url)
        yield url


def _app(**conf: Any) -> Celery:
    app = Celery("results-test", broker="memory://", backend=NAME, set_as_current=False)
    app.conf.update(broker_transport_options={"polling_interval": 0.01}, **conf)
    return app


@pytest.fixture
def backend(journal: str) -> Iterator[JournalBackend]:
    made = _app().backend
    assert isinstance(made, JournalBackend)
    yield made
    made._database.close()


@pytest.fixture
def key() -> str:
    return f"test-{uuid.uuid4()}"


# --- keys and values -------------------------------------------------------------------------------


def test_a_value_is_kept_replaced_and_deleted(backend: JournalBackend, key: str) -> None:
    assert backend.get(key) is None
    backend.set(key, '{"a": 1}')
    assert backend.get(key) == '{"a": 1}'
    backend.set(key, b"[]")
    assert backend.get(key) == "[]"
    backend.delete(key)
    assert backend.get(key) is None
    backend.delete(key)


def test_many_values_come_in_the_order_of_their_keys(backend: JournalBackend, key: str) -> None:
    for number in range(3):
        backend.set(f"{key}-{number}", str(number))
    assert backend.mget([f"{key}-{n}" for n in (2, 9, 0, 1, 2)]) == ["2", None, "0", "1", "2"]
    assert backend.mget([]) == []


def test_more_keys_than_one_statement_takes(backend: JournalBackend, key: str) -> None:
    backend.set(f"{key}-69999", "last")
    found = backend.mget(f"{key}-{number}" for number in range(70_000))
    assert found[-1] == "last"
    assert set(found[:-1]) == {None}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_value_comes_back_as_it_was(backend: JournalBackend, value: Any) -> None:
    task = str(uuid.uuid4())
    backend.store_result(task, value, states.SUCCESS)
    assert backend.get_result(task) == value


def test_ten_megabytes_come_back(backend: JournalBackend, key: str) -> None:
    backend.store_result(key, {"text": "ä" * 5_000_000}, states.SUCCESS)
    assert len(backend.get_result(key)["text"]) == 5_000_000


def test_a_failure_is_raised_again(backend: JournalBackend, key: str) -> None:
    backend.store_result(key, ValueError("no such sample"), states.FAILURE)
    with pytest.raises(ValueError, match="no such sample"):
        backend.app.AsyncResult(key).get(timeout=PATIENCE)


def test_success_is_not_overwritten(backend: JournalBackend, key: str) -> None:
    backend.store_result(key, {"out": 1}, states.SUCCESS)
    backend.store_result(key, None, states.SUCCESS)
    assert backend.get_result(key) == {"out": 1}


# --- expiry ----------------------------------------------------------------------------------------


def test_what_has_expired_is_not_there(backend: JournalBackend, key: str) -> None:
    backend.expires = 0.05
    backend.set(key, "1")
    _until(lambda: backend.get(key) is None)
    assert _rows(backend, key) == 1
    backend.cleanup()
    assert _rows(backend, key) == 0


def test_zero_is_for_ever(backend: JournalBackend, key: str) -> None:
    backend.expires = 0
    backend.set(f"{key}-kept", "1")
    backend.expires = 0.05
    backend.set(f"{key}-renewed", "1")
    backend.expire(f"{key}-renewed", None)
    backend.set(f"{key}-gone", "1")
    _until(lambda: backend.get(f"{key}-gone") is None)
    backend.cleanup()
    assert backend.mget([f"{key}-kept", f"{key}-renewed"]) == ["1", "1"]


def test_a_count_that_expired_starts_again(backend: JournalBackend, key: str) -> None:
    assert [backend.incr(key), backend.incr(key)] == [1, 2]
    backend.expire(key, 0.05)
    _until(lambda: backend.get(key) is None)
    assert backend.incr(key) == 1


def test_storing_deletes_what_expired(backend: JournalBackend, key: str) -> None:
    backend.expires = 0.001
    backend.set(f"{key}-old", "1")
    backend.expires = 60
    for number in range(TIDY_EVERY):
        backend.set(f"{key}-{number}", "1")
    assert _rows(backend, f"{key}-old") == 0
    assert _rows(backend, key) == TIDY_EVERY


def test_cleanup_takes_more_than_a_portion(backend: JournalBackend, key: str) -> None:
    backend.cleanup()
    with backend._database.begin() as connection:
        rows = [{"key": f"{key}-{number}", "value": "1", "expires": 1.0} for number in range(2 * TIDY + 1)]
        connection.execute(results.insert(), rows)
    assert backend._delete_expired() == TIDY
    backend.cleanup()
    assert _rows(backend, key) == 0


# --- several at once -------------------------------------------------------------------------------


def test_threads_count_each_number_once(backend: JournalBackend, key: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda _: backend.incr(key), range(200)))
    assert sorted(counted) == list(range(1, 201))


def test_processes_count_each_number_once(journal: str, key: str) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        counted = pool.starmap_async(_count, [(key, 50)] * 3).get(timeout=60)
    assert sorted(number for part in counted for number in part) == list(range(1, 151))


def _count(key: str, times: int) -> list[int]:
    backend = _app().backend
    return [backend.incr(key) for _ in range(times)]


def test_a_forked_child_makes_its_own_connections(backend: JournalBackend, key: str) -> None:
    assert backend.incr(key) == 1
    child = multiprocessing.get_context("fork").Process(target=backend.incr, args=(key,))
    child.start()
    child.join(PATIENCE)
    assert child.exitcode == 0
    assert backend.incr(key) == 3


def test_cleaning_at_the_same_time_hinders_nobody(backend: JournalBackend, key: str) -> None:
    with backend._database.begin() as connection:
        rows = [{"key": f"{key}-{number}", "value": "1", "expires": 1.0} for number in range(3 * TIDY)]
        connection.execute(results.insert(), rows)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(backend.cleanup) for _ in range(4)]:
            done.result(PATIENCE)
    backend.cleanup()
    assert _rows(backend, key) == 0


def test_one_backend_serves_all_threads(journal: str) -> None:
    app = _app()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(app.backend))
    thread.start()
    thread.join(PATIENCE)
    assert found == [app.backend]


# --- with Celery -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def working(journal: str) -> Iterator[Celery]:
    """An app with a worker in threads."""
    app = _app(result_expires=60)

    @app.task(name="echo", shared=False)
    def echo(value: Any) -> Any:
        if value == "bad":
            raise ValueError("bad sample")
        return value

    @app.task(name="collect", shared=False)
    def collect(values: list[Any]) -> list[Any]:
        return values

    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False):
            yield app
    finally:
        root.setLevel(level)  # a worker makes itself at home in the root logger
        root.handlers[:] = handlers
        app.backend._database.close()


def test_a_chord_is_joined_by_counting(working: Celery) -> None:
    echo, collect = working.tasks["echo"], working.tasks["collect"]
    made = chord([echo.s(number) for number in range(32)])(collect.s())
    assert made.get(timeout=PATIENCE) == list(range(32))
    with working.backend._database.read() as connection:
        names = connection.execute(select(results.c.key).where(results.c.key.contains(made.parent.id)))
        assert names.all() == []  # neither the group nor its count stays


def test_a_chord_never_asks_to_be_polled(working: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(JournalBackend, "fallback_chord_unlock", lambda *given, **named: asked.append(given))
    echo, collect = working.tasks["echo"], working.tasks["collect"]
    assert chord([echo.s(1), echo.s(2)])(collect.s()).get(timeout=PATIENCE) == [1, 2]
    assert asked == []


def test_a_part_that_fails_fails_the_chord(working: Celery) -> None:
    echo, collect = working.tasks["echo"], working.tasks["collect"]
    # which of the two depends on what the client sees first: the chord's end or its part's
    with pytest.raises((ChordError, ValueError), match="bad sample"):
        chord([echo.s(1), echo.s("bad")])(collect.s()).get(timeout=PATIENCE)


def test_a_group_is_joined_by_one_query(working: Celery) -> None:
    echo = working.tasks["echo"]
    assert group(echo.s(number) for number in range(20))().get(timeout=PATIENCE) == list(range(20))


def test_another_app_sees_the_result(working: Celery) -> None:
    sent = working.tasks["echo"].delay({"class": "File", "path": "/x"})
    assert _app().AsyncResult(sent.id).get(timeout=PATIENCE) == {"class": "File", "path": "/x"}


def test_waiting_ends_at_its_timeout(backend: JournalBackend, key: str) -> None:
    with pytest.raises(CeleryTimeout):
        backend.app.AsyncResult(key).get(timeout=0.3)


@pytest.mark.parametrize(("asked", "used"), [({}, INTERVAL), ({"interval": 0.02}, 0.02), ({"interval": 2}, 0.3)])
def test_how_often_a_waiting_client_looks(
    backend: JournalBackend, key: str, monkeypatch: pytest.MonkeyPatch, asked: dict[str, float], used: float
) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    with pytest.raises(CeleryTimeout):
        backend.app.AsyncResult(key).get(timeout=0.3, **asked)
    assert naps[0] == pytest.approx(used)


# --- which database --------------------------------------------------------------------------------


def test_the_url_may_name_another_database(tmp_path: Path) -> None:
    app = Celery("other", backend=f"{NAME}+sqlite:///{tmp_path / 'other.db'}", set_as_current=False)
    app.backend.set("here", "1")
    assert (tmp_path / "other.db").exists()


def test_no_connection_before_the_first_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_JOURNAL_URL", f"sqlite:///{tmp_path / 'journal.db'}")
    assert _app().backend.as_uri() == f"sqlite:///{tmp_path / 'journal.db'}"
    assert not (tmp_path / "journal.db").exists()


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_JOURNAL_URL", "postgresql://celeriac:secret@database/celeriac")
    backend = _app().backend
    assert backend.as_uri() == "postgresql://celeriac:***@database/celeriac"
    assert "secret" in backend.as_uri(include_password=True)


def test_a_database_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERIAC_JOURNAL_URL", f"postgresql://celeriac:secret@/celeriac?host={tmp_path}")
    with pytest.raises(JournalUnavailable, match="does not answer") as caught:
        _app().backend.get("x")
    assert "secret" not in str(caught.value)


def test_a_binary_serializer_is_refused(journal: str) -> None:
    with pytest.raises(SettingsError, match="'pickle'"):
        _app(result_serializer="pickle").backend  # noqa: B018


@pytest.mark.parametrize(
    ("broker", "chosen", "backend"),
    [
        ("amqp://guest:guest@host//", "", NAME),
        ("pyamqp://host//", "", NAME),
        ("amqps://host//", "", NAME),
        ("redis://host:6379/0", "", "redis://host:6379/0"),
        ("", "", "redis://127.0.0.1:6379/0"),
        ("amqp://host//", "redis://host/1", "redis://host/1"),
    ],
)
def test_which_backend_goes_with_a_broker(broker: str, chosen: str, backend: str) -> None:
    assert Settings(broker_url=broker, result_url=chosen).worker_results == backend


def test_results_are_plain_json(backend: JournalBackend, key: str) -> None:
    backend.store_result(key, {"out": 1}, states.SUCCESS)
    assert json.loads(backend.get(backend.get_key_for_task(key)) or "")["result"] == {"out": 1}


def _rows(backend: JournalBackend, prefix: str) -> int:
    with backend._database.read() as connection:
        statement = select(func.count()).where(results.c.key.startswith(prefix, autoescape=True))
        return int(connection.execute(statement).scalar_one())


def _until(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, "not within the time"
        time.sleep(0.01)
