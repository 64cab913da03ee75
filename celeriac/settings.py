"""The settings: the environment or ``celeriac.toml``, read here and nowhere else.

A setting ``journal_url`` is the environment's ``CELERIAC_JOURNAL_URL`` and the file's key
``journal_url`` (or ``CELERIAC_JOURNAL_URL``: the same names are taken). The environment wins.
"""

from __future__ import annotations

import math
import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from celeriac.errors import SettingsError

#: The broker setting that means: no server, everything in this process.
EMBEDDED = "embedded"
DEFAULT_BROKER = "redis://127.0.0.1:6379/0"
PREFIX = "CELERIAC_"
#: What programs say when an allocation fails: C++, Java, Python, the C library's ENOMEM.
OOM_PATTERN = r"std::bad_alloc|java\.lang\.OutOfMemoryError|\bMemoryError\b|[Cc]annot allocate memory"

#: The kinds of notices, and where a listener takes each unless it is set otherwise.
ROUTES = {"progress": "progress", "status": "status", "results": "results"}
_ROUTE = re.compile(r"[A-Za-z0-9._~/-]+")


def _default_home(environ: Mapping[str, str] = os.environ) -> Path:
    base = environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return Path(base) / "celeriac"


@dataclass(frozen=True)
class Settings:
    """All that can be set. Times are seconds, sizes are bytes unless a name says otherwise."""

    home: Path = field(default_factory=_default_home)  # run directories, SQLite journal, caches
    broker_url: str = ""  # empty: embedded for `celeriac run`, Redis on localhost for workers
    result_url: str = ""  # empty: follows the broker
    journal_url: str = ""  # empty: SQLite under the home
    queues: str = ""  # empty: ./queues.yaml, else the packaged one
    docker_host: str = ""  # empty: what the Docker SDK finds (DOCKER_HOST, the usual socket)
    eval_timeout: float = 60.0  # of one expression
    lease: float = 60.0  # a worker that does not renew is taken for dead after this
    heartbeat: float = 10.0  # how often a lease is renewed
    cancel_poll: float = 2.0  # how often a running step asks whether it was cancelled
    drain: float = 30.0  # how long a worker that was told to end lets its steps run before it hands them back
    scan_interval: float = 15.0  # how often lost messages and leases are looked for
    scatter_width: int = 32  # items in one chord
    scatter_window: int = 256  # items of one run's scatters under way, at most
    first_lane: int = 8  # steps of one run that are served before other runs' backlog, on each queue
    infrastructure_attempts: int = 3  # tries of a step whose worker, engine or host failed
    memory_ladder: bool = True  # a step that ran out of memory is tried again on the next larger queue
    oom_exit_codes: str = ""  # exit codes of tools that mean "out of memory", such as "104, 137"
    oom_pattern: str = OOM_PATTERN  # a regular expression: a failed tool whose last words match ran out of memory
    slots: int = 0  # steps at once in an embedded run; 0: as many as the host holds
    slots_dir: str = ""  # the host's ledger of slots, shared by all its workers; empty: one a user
    host_cpus: float = 0.0  # cores of this host that steps may use; 0: all
    host_ram: int = 0  # MiB of this host that steps may use; 0: all
    host_gpus: str = "auto"  # ids of GPUs that steps may use, such as "0,1"; "auto": all, "none": none
    disk_reserve: int = 256  # MiB that are to be free where a run's directory is before a step starts; 0: any
    disk_patience: float = 600.0  # how long a step waits for that before it fails
    connect_timeout: float = 5.0  # of broker, journal and engine at start
    temporary_attempts: int = 3  # tries of a step whose tool says that a failure was temporary
    retry_delay: float = 1.0  # before the second try of a step; twice as long before each further one
    retry_most: float = 300.0  # the longest pause between two tries
    notify_url: str = field(default="", repr=False)  # the listener that is told of all runs; empty: none
    notify_routes: str = "progress=progress,status=status,results=results"  # under it, for each kind of notice
    notify_key: str = field(default="", repr=False)  # signs notices: a PEM's path, or a secret; empty: unsigned
    notify_algorithm: str = "RS256"  # of the signature
    notify_timeout: float = 30.0  # of one post, from the first byte to the last
    notify_tries: int = 300  # of a notice before it is given up till `celeriac notify replay`
    notify_backoff: float = 1.0  # before the second try; twice as long before each further one
    notify_longest: float = 300.0  # the longest pause between two tries
    notify_wait: float = 5.0  # how long an embedded run waits at its end for its notices to arrive
    notify_weblog: bool = False  # the listener takes events as Nextflow posts them, all to notify_url
    api_roots: str = ""  # directories that runs from outside may read and write, with ":" between them
    api_hosts: str = ""  # hosts that they may get documents and inputs from, such as "data.org, *.data.org"
    api_private_hosts: bool = False  # whether such a host may have an address of this machine or a private network
    api_images: str = ""  # images that their tools may run in, such as "debian, biocontainers/*"; empty: none
    api_processes: bool = False  # whether their tools may run without a container
    api_network: bool = False  # whether their tools may have a network
    api_scatter: int = 10_000  # items of one of their scatters, at most
    api_download: int = 1024  # MiB of one of their inputs that comes over http(s), at most
    failpoints: str = ""  # for tests of failures: see celeriac/failpoints.py
    api_url: str = ""  # how clients reach `celeriac api`, such as https://host/celeriac; empty: as they asked for it
    api_jwt_key: str = field(default="", repr=False)  # verifies tokens: path of a public key in PEM, or a secret
    api_jwt_algorithms: str = "RS256"  # how tokens may be signed
    api_jwt_issuer: str = ""  # tokens are to be from it; empty: from anybody who has the key
    api_jwt_audience: str = ""  # tokens are to be for it; empty: for nobody in particular
    api_auth_url: str = ""  # the page that tells how to get a token; empty: a short one of ours
    api_workflows: str = ""  # the folder of documents that may be run by their names; empty: none
    api_open_lists: bool = False  # whether the old routes' lists are answered without a token, as CWL-Airflow's were
    api_outputs: str = "url"  # outputs are shown as "url"s of the server, or as "file" paths of its host
    api_max_body: int = 1 << 30  # bytes of a request with its attachments
    api_max_attachments: int = 256  # of one request
    api_timeout: float = 30.0  # that a client may let the server wait in the midst of a request or an answer
    api_loads: int = 1  # documents that are loaded for new runs at a time, in each process
    api_waiting: int = 1000  # connections without a whole request, in each process; the oldest is closed for one more

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> Settings:
        """Read ``celeriac.toml`` (``$CELERIAC_CONFIG``, else the working directory) and the environment.

        An empty variable counts as none. Raises :class:`~celeriac.errors.SettingsError` for an unknown
        key, a value of a wrong kind, or a heartbeat that can't keep a lease.
        """
        env = os.environ if environ is None else environ
        values = {"home": _default_home(env), **_from_file(_file(env, cwd or Path.cwd()))}
        names = {f.name for f in fields(cls)}
        for key, text in env.items():
            name = key[len(PREFIX) :].lower()
            if key.startswith(PREFIX) and name in names and text:
                values[name] = _convert(name, text, key)
        if "docker_host" not in values and env.get("DOCKER_HOST"):
            values["docker_host"] = env["DOCKER_HOST"]
        settings = replace(cls(), **values)
        if settings.heartbeat >= settings.lease:
            raise SettingsError(
                f"heartbeat is {settings.heartbeat:g} and lease is {settings.lease:g}: "
                "a heartbeat shorter than the lease was expected",
                hint="a third of the lease or less lets a worker miss one",
            )
        settings.oom_codes, settings.oom_words, settings.notify_paths  # noqa: B018  # a wrong one is said here
        if settings.notify_url:
            check_listener(settings.notify_url, f"{PREFIX}NOTIFY_URL")
        return settings

    @property
    def oom_codes(self) -> frozenset[int]:
        """The exit codes that mean "out of memory"; raises :class:`~celeriac.errors.SettingsError`."""
        try:
            return frozenset(int(code) for code in self.oom_exit_codes.replace(",", " ").split())
        except ValueError as error:
            raise SettingsError(
                f"{PREFIX}OOM_EXIT_CODES is {self.oom_exit_codes!r}, but whole numbers with commas between them "
                "were expected"
            ) from error

    @property
    def oom_words(self) -> re.Pattern[str] | None:
        """What a tool that ran out of memory says; None for "none". Raises :class:`~celeriac.errors.SettingsError`."""
        if self.oom_pattern == "none":
            return None
        try:
            return re.compile(self.oom_pattern)
        except re.error as error:
            raise SettingsError(
                f"{PREFIX}OOM_PATTERN is {self.oom_pattern!r}, which is no regular expression: {error}",
                hint='"none" turns it off',
            ) from error

    @property
    def notify_paths(self) -> Mapping[str, str]:
        """The route of each kind of notice; raises :class:`~celeriac.errors.SettingsError`."""
        found = dict(ROUTES)
        for word in self.notify_routes.replace(",", " ").split():
            kind, equals, path = word.partition("=")
            if kind not in ROUTES or not equals or not _ROUTE.fullmatch(path):
                raise SettingsError(
                    f"{PREFIX}NOTIFY_ROUTES has {word!r}, but KIND=PATH was expected",
                    hint="kinds: " + ", ".join(ROUTES) + "; for example progress=progress,status=status",
                )
            found[kind] = path
        return found

    @property
    def journal(self) -> str:
        """The journal's URL, SQLite under the home unless set."""
        return self.journal_url or f"sqlite:///{self.home / 'journal.db'}"

    @property
    def worker_broker(self) -> str:
        """The broker that workers, ``submit`` and the other clients talk to."""
        return DEFAULT_BROKER if self.broker_url in ("", EMBEDDED) else self.broker_url

    @property
    def worker_results(self) -> str:
        """The result backend that goes with :attr:`worker_broker`: the same Redis, else the journal's database."""
        if self.result_url:
            return self.result_url
        broker = self.worker_broker
        redis = broker.startswith(("redis", "unix", "socket", "sentinel"))
        return broker if redis else "celeriac.journal.results:JournalBackend"

    @property
    def slots_directory(self) -> Path:
        """Where the workers of this host share their ledger of slots; it need not outlive a reboot."""
        if self.slots_dir:
            return Path(self.slots_dir).expanduser().absolute()
        shared = Path("/dev/shm")
        return (shared if shared.is_dir() else Path(tempfile.gettempdir())) / f"celeriac-{os.getuid()}"

    @property
    def runs(self) -> Path:
        """The directory that holds one directory a run."""
        return self.home / "runs"


def check_listener(url: str, name: str) -> None:
    """Raise :class:`~celeriac.errors.SettingsError` unless notices can be posted to ``url``, which ``name`` gave."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        known = False
    # what an HTTP request's first line can't hold; the value may have a password in it, and is not repeated
    if not known or not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
        raise SettingsError(f"{name} is no URL that can be posted to", hint="for example http://127.0.0.1:8080/airflow/")


def check_own_listener(url: str, name: str) -> None:
    """As :func:`check_listener`, of one run's own: everybody who may look at the run can read its URL."""
    check_listener(url, name)
    if urlsplit(url).username is not None:
        raise SettingsError(
            f"{name} has a user or password in its URL, which would be kept in the journal for all to see",
            hint=f"{PREFIX}NOTIFY_URL may have one: it is kept nowhere",
        )


def _file(env: Mapping[str, str], cwd: Path) -> Path | None:
    named = env.get(PREFIX + "CONFIG")
    if named:
        if not Path(named).is_file():
            raise SettingsError(f"{PREFIX}CONFIG names {named}, which is no file")
        return Path(named)
    here = cwd / "celeriac.toml"
    return here if here.is_file() else None


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"can't be read: {error}", where=str(path)) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"is not valid TOML: {error}", where=str(path)) from error
    known = {f.name for f in fields(Settings)}
    values = {}
    for key, value in data.items():
        name = key.removeprefix(PREFIX).lower()
        if name not in known:
            raise SettingsError(f"'{key}' is no setting", where=str(path), hint="known: " + ", ".join(sorted(known)))
        values[name] = _convert(name, value, key, str(path))
    return values


_KINDS: dict[str, type] = {"Path": Path, "str": str, "float": float, "int": int, "bool": bool}
_NAMES = {Path: "a path", str: "a text", float: "a number", int: "a whole number", bool: "true or false"}
#: Numbers that may be 0; all others are above it.
_MAY_BE_ZERO = {"disk_reserve", "drain", "slots", "host_cpus", "host_ram", "retry_delay", "notify_wait"}
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _convert(name: str, value: Any, key: str, where: str = "") -> Any:
    kind = _KINDS[next(str(f.type) for f in fields(Settings) if f.name == name)]
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser().absolute()
    if kind is str and isinstance(value, str):
        return value
    wanted = _NAMES[kind]
    if kind is bool and str(value).lower() in _BOOLEANS:
        return _BOOLEANS[str(value).lower()]
    if kind in (int, float):
        number = _number(kind, value)
        if number is not None and (number > 0 or (number == 0 and name in _MAY_BE_ZERO)):
            return number
        wanted += " of 0 or more" if name in _MAY_BE_ZERO else " above 0"
    raise SettingsError(f"{key} is {value!r}, but {wanted} was expected", where=where)


def _number(kind: type, value: Any) -> Any:
    """Return a finite number of that kind, or None."""
    if isinstance(value, bool) or not isinstance(value, (str, int, kind)):
        return None
    try:
        number = kind(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
