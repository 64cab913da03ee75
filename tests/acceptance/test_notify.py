"""Notices of real runs, told to `celeriac notify listen`: from the run's own process and from workers on Redis."""

from __future__ import annotations

import json
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from celeriac.engine.courier import MOST
from tests.acceptance.commands import Desk, desk
from tests.acceptance.workers import Site, until
from tests.services.process import free_port

LINE = re.compile(r'(\w+) ("[^"]*") (\S+) (.*)')
#: Settings of a listener that nobody has to wait for.
SOON = {"CELERIAC_NOTIFY_BACKOFF": "0.1", "CELERIAC_NOTIFY_LONGEST": "0.5", "CELERIAC_NOTIFY_WAIT": "20"}
STEPS = {"numbers", "work", "join"}


@pytest.fixture
def here(tmp_path: Path) -> Desk:
    return desk(tmp_path, **SOON)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``private.pem`` and ``public.pem``."""
    directory, key = tmp_path_factory.mktemp("keys"), rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "private.pem").write_bytes(private)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "public.pem").write_bytes(public)
    return directory


@dataclass
class Heard:
    """A `celeriac notify listen`, and what it has printed."""

    url: str
    out: Path

    def lines(self) -> list[tuple[str, str, str, Any]]:
        """Return mark, path, key and content of each post."""
        found = [LINE.fullmatch(line) for line in self.out.read_text().splitlines()]
        return [(m[1], json.loads(m[2]), m[3], json.loads(m[4])) for m in found if m]

    def taken(self, mark: str = "plain") -> list[Any]:
        """Return what it has taken, in its order."""
        return [content for made, _, _, content in self.lines() if made == mark]

    def results(self, run: str, mark: str = "plain") -> list[Any]:
        """Wait for the results of a run."""

        def look() -> list[Any] | None:
            return [one["results"] for one in self.taken(mark) if one.get("run_id") == run and "results" in one] or None

        return until(look, f"no results of run {run}: {self.lines()}")


@contextmanager
def listen(here: Desk, *options: str, port: int = 0) -> Iterator[Heard]:
    """Run `celeriac notify listen` till the end of the block."""
    out = here.directory / f"heard-{secrets.token_hex(3)}.txt"
    with out.open("w") as file, here.start("notify", "listen", "--port", str(port), *options) as process:
        assert process.stderr is not None and process.stdout is not None
        url = process.stderr.readline().split()[-1]
        assert url.startswith("http://127.0.0.1:"), url
        copier = Popen(["cat"], stdin=process.stdout, stdout=file)
        yield Heard(url, out)
        process.terminate()
        process.wait()
        copier.wait()


def statuses(heard: Heard, task: str, mark: str = "plain") -> list[str]:
    return [one["state"] for one in heard.taken(mark) if one.get("task_id") == task]


def told_whole(heard: Heard, run: str, mark: str = "plain") -> None:
    """Check what a listener heard of a run of ``numbers.cwl`` that succeeded."""
    found = [one for one in heard.taken(mark) if one["run_id"] == run]
    for task in STEPS:
        assert [one["state"] for one in found if one.get("task_id") == task] == ["running", "success"]
    numbers = [one["progress"] for one in found if "progress" in one]
    assert numbers == sorted(numbers) and numbers[-1] == 100
    assert [set(one) for one in found][-1] == {"dag_id", "run_id", "results"}
    assert {one["dag_id"] for one in found} == {"numbers"}


# --- a run in its own process ----------------------------------------------------------------------


def test_a_run_tells_its_own_listener_all(here: Desk) -> None:
    with listen(here) as heard:
        here("run", "--no-container", "--notify", f"{heard.url}airflow", "numbers.cwl")
        told_whole(heard, here.newest())
        paths = {path for _, path, _, _ in heard.lines()}
    assert paths == {"/airflow/status", "/airflow/progress", "/airflow/results"}
    assert here.json("notify", "list") == []


def test_a_run_that_fails_tells_what_its_tool_said(here: Desk) -> None:
    with listen(here) as heard:
        here("run", "--no-container", "--notify", heard.url, "numbers.cwl", "--fail", "1", code=1)
        last = heard.taken()[-1]
        assert (last["state"], statuses(heard, "work")[-1]) == ("failed", "failed")
        assert statuses(heard, "join") == ["upstream_failed"]
    assert last["logs"]["failed_steps"] == {"work[1]": "remark 1"}
    assert "exit" in last["error"] and last["statistics"]["total"]["end_date"]


def test_events_as_nextflow_posts_them(here: Desk) -> None:
    with listen(here) as heard:
        here("run", "--no-container", "--notify", f"{heard.url}hook", "--notify-weblog", "numbers.cwl")
        found = [one["event"] for one in heard.taken()]
        assert {path for _, path, _, _ in heard.lines()} == {"/hook"}
    assert (found[0], found[-1]) == ("started", "completed")
    assert found.count("process_completed") == len(STEPS)


def test_what_is_signed_is_verified(here: Desk, keys: Path) -> None:
    signing = {"CELERIAC_NOTIFY_KEY": str(keys / "private.pem")}
    with listen(here, "--key", str(keys / "public.pem")) as heard:
        here("run", "--no-container", "--notify", heard.url, "numbers.cwl", **signing)
        told_whole(heard, here.newest(), "signed")
        assert {mark for mark, *_ in heard.lines()} == {"signed"}


def test_a_broken_key_sends_nothing_and_is_named(here: Desk, keys: Path) -> None:
    broken = {"CELERIAC_NOTIFY_KEY": str(keys / "none.pem"), "CELERIAC_NOTIFY_WAIT": "0.3"}
    with listen(here, "--key", str(keys / "public.pem")) as heard:
        done = here("run", "--no-container", "--quiet", "--notify", heard.url, "numbers.cwl", **broken)
        assert json.loads(done.stdout)["all"] == "0\n1\n2\n"
        assert "have not arrived: CELERIAC_NOTIFY_KEY can't be read: No such file" in done.stderr
        shown = here("notify", "list", **broken)
        assert "CELERIAC_NOTIFY_KEY can't be read" in shown.stdout + shown.stderr
        assert heard.lines() == []
        fixed = {"CELERIAC_NOTIFY_KEY": str(keys / "private.pem")}
        assert here("notify", "replay", **fixed).stdout.endswith(" delivered, 0 left\n")
        told_whole(heard, here.newest(), "signed")


def test_who_expects_signatures_takes_nothing_else(here: Desk, keys: Path) -> None:
    with listen(here, "--key", str(keys / "public.pem")) as heard:
        done = here("run", "--no-container", "--notify", heard.url, "numbers.cwl", CELERIAC_NOTIFY_WAIT="0.5")
        assert {mark for mark, *_ in heard.lines()} == {"refused"}
    assert "have not arrived: it answered 403" in done.stderr


def test_a_dead_listener_holds_nobody_up_and_is_told_later(here: Desk) -> None:
    port = free_port()
    words = ("run", "--no-container", "--quiet", "--notify", f"http://127.0.0.1:{port}/", "numbers.cwl")
    done = here(*words, CELERIAC_NOTIFY_WAIT="0.3", CELERIAC_NOTIFY_TRIES="1000")
    run = here.newest()
    assert json.loads(done.stdout)["all"] == "0\n1\n2\n"
    assert f"notices of run {run} have not arrived: http://127.0.0.1:{port}/status can't be reached" in done.stderr
    waiting = here.json("notify", "list")
    assert len(waiting) == 11 and {one["run"] for one in waiting} == {run}
    assert "0 delivered, 11 left" in here("notify", "replay", run, code=1).stdout
    with listen(here, "--fail", "1", port=port) as heard:
        assert here("notify", "replay", run, code=1).stdout == "0 delivered, 11 left\n"  # the first answer is 503
        assert here("notify", "replay", run).stdout == "11 delivered, 0 left\n"
        told_whole(heard, run)
        keys_ = [key for mark, _, key, _ in heard.lines() if mark == "plain"]
        assert keys_ == [one["key"] for one in waiting]
        assert heard.lines()[0][:3] == ("failed", "/status", keys_[0])


def test_what_is_given_up_is_listed_and_sent_again(here: Desk) -> None:
    given = {"CELERIAC_NOTIFY_TRIES": "1", "CELERIAC_NOTIFY_URL": f"http://127.0.0.1:{free_port()}/"}
    here("run", "--no-container", "--quiet", "numbers.cwl", **given)
    dead = json.loads(here("notify", "list", "--dead", "--json").stdout)
    assert dead and {one["state"] for one in dead} == {"dead"} and {one["listener"] for one in dead} == {None}
    warned = here("notify", "replay", "--dead", code=1).stderr
    assert "CELERIAC_NOTIFY_URL is not set here" in warned
    with listen(here) as heard:
        assert here("notify", "replay", "--dead", CELERIAC_NOTIFY_URL=heard.url).stdout.startswith("0 delivered")
        here("notify", "replay", CELERIAC_NOTIFY_URL=heard.url)  # that is what it is since the first replay
        told_whole(heard, here.newest())


def test_what_nobody_is_to_hear_any_more_is_dropped(here: Desk) -> None:
    url, quick = f"http://127.0.0.1:{free_port()}/", {"CELERIAC_NOTIFY_TRIES": "1", "CELERIAC_NOTIFY_WAIT": "0.5"}
    for listener in (url + "one/", url + "two/"):
        here("run", "--no-container", "--quiet", "--notify", listener, "numbers.cwl", **quick)
    here("run", "--no-container", "--quiet", "--notify", url, "numbers.cwl", CELERIAC_NOTIFY_WAIT="0.1")
    run, dead, waiting = here.newest(), here.json("notify", "list", "--dead"), here.json("notify", "list")
    assert len(dead) == 22 and len(waiting) == 33
    assert "needs either runs or --all" in here("notify", "drop", code=1).stderr
    assert "needs either runs or --all" in here("notify", "drop", run, "--all", code=1).stderr
    assert here("notify", "drop", run).stdout == "0 dropped\n", "it would be tried again"
    assert here("notify", "drop", "--all", "--to", url + "three/").stdout == "0 dropped\n"
    assert here("notify", "drop", "--all", "--to", url + "one/").stdout == "11 dropped\n"
    assert here("notify", "drop", dead[-1]["run"]).stdout == "11 dropped\n"
    assert [one["run"] for one in here.json("notify", "list")] == [run] * 11
    assert here("notify", "drop", run, "--waiting").stdout == "11 dropped\n"
    assert here.json("notify", "list") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--notify", "ftp://h/"), "--notify is no URL that can be posted to"),
        (("--notify", "http://me:s3cret@h/"), "--notify has a user or password in its URL"),
        (("--notify-weblog",), "--notify-weblog goes with --notify URL"),
    ],
)
def test_a_wrong_listener_is_refused_before_anything_runs(here: Desk, words: tuple[str, ...], said: str) -> None:
    done = here("run", *words, "numbers.cwl", code=1)
    assert said in done.stderr and "s3cret" not in done.stderr
    assert here.json("list") == []


def test_listening_says_what_is_wrong(here: Desk) -> None:
    with listen(here) as heard:
        port = heard.url.rstrip("/").rpartition(":")[2]
        assert "Address already in use" in here("notify", "listen", "--port", port, code=1).stderr
    assert "can't listen" in here("notify", "listen", "--port", "70000", code=1).stderr
    assert "can't be read" in here("notify", "listen", "--key", "none.pem", code=1).stderr
    assert "--algorithm is 'none'" in here("notify", "listen", "--key", "x", "--algorithm", "none", code=1).stderr


# --- workers on Redis ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(redis_url: str, tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[tuple[Site, Heard]]:
    place = desk(tmp_path_factory.mktemp("notify"))
    with listen(place, "--key", str(keys / "public.pem")) as heard:
        settings = {
            **SOON,
            "CELERIAC_BROKER_URL": redis_url.removesuffix("/0") + "/9",
            "CELERIAC_NOTIFY_URL": heard.url,
            "CELERIAC_NOTIFY_KEY": str(keys / "private.pem"),
        }
        site = Site(Desk(place.directory, settings))
        with site.worker("one", "-Q", "default", "-c", "2"):
            yield site, heard
        site.show_logs()


def test_workers_tell_the_listener_of_the_settings(cluster: tuple[Site, Heard]) -> None:
    site, heard = cluster
    run = site.submit("numbers.cwl")
    assert site.ended(run).state == "SUCCESS"
    assert heard.results(run, "signed") == [{"all": "0\n1\n2\n"}]
    told_whole(heard, run, "signed")


def test_workers_tell_what_an_embedded_run_could_not(cluster: tuple[Site, Heard], keys: Path) -> None:
    site, heard = cluster
    alone = {"CELERIAC_BROKER_URL": "embedded", "CELERIAC_NOTIFY_WAIT": "0.001"}
    site.desk("run", "--no-container", "--quiet", "numbers.cwl", **alone)
    run = site.newest()
    heard.results(run, "signed")
    told_whole(heard, run, "signed")


def test_a_listener_that_hangs_holds_up_no_run(cluster: tuple[Site, Heard]) -> None:
    """More of them than there are threads to wait for them; the usual listener hears of each run all the same."""
    site, heard = cluster

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        runs = [site.submit("--notify", url, "numbers.cwl") for _ in range(MOST + 1)]
        for run in runs:
            assert site.ended(run).state == "SUCCESS"
        other = site.submit("numbers.cwl")
        assert site.ended(other).state == "SUCCESS"
        assert heard.results(other, "signed") == [{"all": "0\n1\n2\n"}]
        told_whole(heard, other, "signed")


def test_a_run_that_is_cancelled_has_failed(cluster: tuple[Site, Heard]) -> None:
    site, heard = cluster
    run = site.submit("numbers.cwl", "--gate", str(site.desk.directory / "never"))
    until(lambda: "RUNNING" in site.states(run).values(), "no step runs")
    site.desk("cancel", run)
    site.ended(run)

    def last() -> Any:
        return next((one for one in heard.taken("signed") if one["run_id"] == run and one.get("error")), None)

    assert "cancelled" in until(last, "the end of the run is not told")["error"]
