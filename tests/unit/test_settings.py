"""Settings from the environment and from celeriac.toml: one table, one message for each mistake."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.errors import SettingsError
from celeriac.settings import DEFAULT_BROKER, PREFIX, Settings

NAMES = [field.name for field in fields(Settings)]
NUMBERS = [field.name for field in fields(Settings) if field.type in ("int", "float")]
WHOLE = [field.name for field in fields(Settings) if field.type == "int"]
TEXTS = [field.name for field in fields(Settings) if field.type == "str"]
#: Each means then: as there is, or none.
MAY_BE_ZERO = {"disk_reserve", "drain", "slots", "host_cpus", "host_ram", "retry_delay", "notify_wait"}
#: A value of each that is not its default, as TOML and as what comes out.
OTHER: dict[str, Any] = {
    **{name: f"{name}-value" for name in TEXTS},
    **dict.fromkeys(NUMBERS, 41),
    "heartbeat": 4,
    "home": "/srv/celeriac",
    "memory_ladder": False,
    "oom_exit_codes": "3, 104",
    "notify_url": "http://127.0.0.1:8080/airflow/",
    "notify_routes": "status=v2/status",
    "notify_weblog": True,
    "api_private_hosts": True,
    "api_processes": True,
    "api_network": True,
    "api_open_lists": True,
}

#: Yet other values of those that take no other text.
NOTIFY = {"notify_url": "https://h/x", "notify_routes": "results=r", "notify_weblog": "False"}


def load(directory: Path, toml: str = "", **env: str) -> Settings:
    """Read settings from a file and an environment."""
    if toml:
        (directory / "celeriac.toml").write_text(toml)
    return Settings.load(env, directory)


def toml(name: str, value: Any) -> str:
    return f"{name} = {str(value).lower() if isinstance(value, bool) else repr(value)}\n"


def test_nothing_set_is_all_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, XDG_DATA_HOME="/data") == Settings(home=Path("/data/celeriac"))
    assert load(tmp_path).home == Path.home() / ".local" / "share" / "celeriac"


@pytest.mark.parametrize("name", NAMES)
def test_each_has_one_name_in_the_environment_and_the_file(tmp_path: Path, name: str) -> None:
    value = OTHER[name]
    expected = Path(value) if name == "home" else value
    assert getattr(Settings(), name) != expected
    variable = PREFIX + name.upper()
    assert getattr(load(tmp_path, **{variable: str(value)}), name) == expected
    assert getattr(load(tmp_path, toml(name, value)), name) == expected
    assert getattr(load(tmp_path, toml(variable, value)), name) == expected


@pytest.mark.parametrize("name", NAMES)
def test_the_environment_wins_unless_it_is_empty(tmp_path: Path, name: str) -> None:
    file, variable = toml(name, OTHER[name]), PREFIX + name.upper()
    from_file = getattr(load(tmp_path, file), name)
    special = {"heartbeat": "5", "oom_exit_codes": "9", "memory_ladder": "True", **NOTIFY}
    other = str(not OTHER[name]) if isinstance(OTHER[name], bool) else "50" if name in NUMBERS else "/other"
    changed = special.get(name, other)
    assert str(getattr(load(tmp_path, file, **{variable: changed}), name)).removesuffix(".0") == changed
    assert getattr(load(tmp_path, file, **{variable: ""}), name) == from_file


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["abc", "-1", "nan", "inf", "1e999", "1 2"])
def test_a_number_is_a_number(tmp_path: Path, name: str, value: str) -> None:
    kind = "a whole number" if name in WHOLE else "a number"
    least = "of 0 or more" if name in MAY_BE_ZERO else "above 0"
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **{PREFIX + name.upper(): value})
    assert str(caught.value) == f"{PREFIX}{name.upper()} is '{value}', but {kind} {least} was expected"


@pytest.mark.parametrize("name", NUMBERS)
def test_some_may_be_zero(tmp_path: Path, name: str) -> None:
    if name in MAY_BE_ZERO:
        assert getattr(load(tmp_path, **{PREFIX + name.upper(): "0"}), name) == 0
    else:
        with pytest.raises(SettingsError, match="above 0 was expected"):
            load(tmp_path, **{PREFIX + name.upper(): "0"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("leese = 3", "'leese' is no setting"),
        ("[lease]\nx = 1", "lease is {'x': 1}, but a number above 0 was expected"),
        ("lease = true", "lease is True, but a number"),
        ("slots = 1.5", "slots is 1.5, but a whole number"),
        ("queues = 3", "queues is 3, but a text"),
        ("home = 3", "home is 3, but a path"),
        ("lease = = 3", "is not valid TOML: Invalid value (at line 1, column 9)"),
        ("lease = 'a", "is not valid TOML"),
    ],
)
def test_a_mistake_in_the_file_names_the_file(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path}/celeriac.toml: {said}")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "celeriac.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="celeriac.toml: can't be read"):
        load(tmp_path)


def test_the_file_may_be_named(tmp_path: Path) -> None:
    named = tmp_path / "other.toml"
    named.write_text("slots = 7\n")
    assert load(tmp_path, "slots = 3\n", CELERIAC_CONFIG=str(named)).slots == 7
    with pytest.raises(SettingsError, match="CELERIAC_CONFIG names /nowhere.toml, which is no file"):
        load(tmp_path, CELERIAC_CONFIG="/nowhere.toml")


@pytest.mark.parametrize(("lease", "heartbeat"), [("10", "10"), ("5", "6")])
def test_a_heartbeat_keeps_the_lease(tmp_path: Path, lease: str, heartbeat: str) -> None:
    with pytest.raises(SettingsError, match="a heartbeat shorter than the lease was expected"):
        load(tmp_path, CELERIAC_LEASE=lease, CELERIAC_HEARTBEAT=heartbeat)


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    assert load(tmp_path, XDG_DATA_HOME="/d", CELERIAC_UNKNOWN="x", LEASE="y") == load(tmp_path, XDG_DATA_HOME="/d")


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(tmp_path, CELERIAC_HOME="here").home == tmp_path / "here"
    assert load(tmp_path, CELERIAC_HOME="~/there").home == Path.home() / "there"


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_any_positive_number_of_seconds(number: float) -> None:
    assert Settings.load({"CELERIAC_EVAL_TIMEOUT": repr(number)}, Path("/nowhere")).eval_timeout == number


# --- what follows from them ------------------------------------------------------------------------


def test_the_journal_is_under_the_home() -> None:
    assert Settings(home=Path("/h")).journal == "sqlite:////h/journal.db"
    assert Settings(home=Path("/h")).runs == Path("/h/runs")
    assert Settings(journal_url="postgresql://h/db").journal == "postgresql://h/db"


def test_the_engines_address_is_dockers_own(tmp_path: Path) -> None:
    assert load(tmp_path, DOCKER_HOST="unix:///d.sock").docker_host == "unix:///d.sock"
    assert load(tmp_path, DOCKER_HOST="a", CELERIAC_DOCKER_HOST="b").docker_host == "b"


@pytest.mark.parametrize(
    ("broker", "result", "expected"),
    [
        ("", "", (DEFAULT_BROKER, DEFAULT_BROKER)),
        ("embedded", "", (DEFAULT_BROKER, DEFAULT_BROKER)),
        ("redis://h/1", "", ("redis://h/1", "redis://h/1")),
        ("redis://h/1", "redis://h/2", ("redis://h/1", "redis://h/2")),
        ("redis+socket:///s", "", ("redis+socket:///s", "redis+socket:///s")),
        ("amqp://h", "redis://h/2", ("amqp://h", "redis://h/2")),
    ],
)
def test_results_follow_the_broker(broker: str, result: str, expected: tuple[str, str]) -> None:
    settings = Settings(broker_url=broker, result_url=result)
    assert (settings.worker_broker, settings.worker_results) == expected


def test_a_broker_without_results_leaves_them_to_the_journal() -> None:
    assert "journal" in Settings(broker_url="amqp://h").worker_results


@pytest.mark.parametrize(("value", "codes"), [("", set()), ("104", {104}), ("3, 104 137", {3, 104, 137})])
def test_exit_codes_of_memory(tmp_path: Path, value: str, codes: set[int]) -> None:
    assert load(tmp_path, CELERIAC_OOM_EXIT_CODES=value).oom_codes == codes


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("CELERIAC_OOM_EXIT_CODES", "a lot", "whole numbers with commas between them were expected"),
        ("CELERIAC_OOM_PATTERN", "(", "is no regular expression"),
        ("CELERIAC_MEMORY_LADDER", "maybe", "true or false was expected"),
    ],
)
def test_a_wrong_word_on_memory_is_refused_at_start(tmp_path: Path, name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        load(tmp_path, **{name: value})


WRONG_LISTENERS = ["ftp://h/", "http://", "h:8080", "http://h:x/", "http://h/a b", "http://h/\u00fc", "/p"]


@pytest.mark.parametrize("url", WRONG_LISTENERS)
def test_a_listener_is_one_that_can_be_posted_to(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="CELERIAC_NOTIFY_URL is no URL that can be posted to") as caught:
        load(tmp_path, CELERIAC_NOTIFY_URL=url)
    assert url not in str(caught.value).replace("http://127.0.0.1:8080/airflow/", "")  # a password may be in it


@pytest.mark.parametrize("routes", ["progress", "other=x", "status=", "status=a?b", "status=a b=c"])
def test_routes_of_a_listener_are_paths(tmp_path: Path, routes: str) -> None:
    with pytest.raises(SettingsError, match="KIND=PATH was expected"):
        load(tmp_path, CELERIAC_NOTIFY_ROUTES=routes)


def test_routes_that_are_not_named_are_the_usual_ones(tmp_path: Path) -> None:
    found = load(tmp_path, CELERIAC_NOTIFY_ROUTES="status=v2/state").notify_paths
    assert found == {"progress": "progress", "status": "v2/state", "results": "results"}


def test_no_secret_is_shown() -> None:
    shown = repr(Settings(notify_key="s3cret", notify_url="http://u:s3cret@h/"))
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    "said",
    [
        "terminate called after throwing an instance of 'std::bad_alloc'",
        'Exception in thread "main" java.lang.OutOfMemoryError: Java heap space',
        "MemoryError",
        "fork: Cannot allocate memory",
    ],
)
def test_words_of_programs_without_memory(said: str) -> None:
    pattern = Settings().oom_words
    assert pattern is not None
    assert pattern.search(said)
    assert not pattern.search("MyMemoryErrors: 0")
    assert Settings(oom_pattern="none").oom_words is None
