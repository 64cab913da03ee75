#!/usr/bin/env python3
"""Run the CWL v1.2 conformance suite: ``python tests/conformance/run.py --help``.

Every option has an environment variable for ``make conformance``. The suite itself is found by
CONFORMANCE_SUITE. Exits 0 if every test passed, 1 if one failed, 2 if the suite could not be run.
"""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # to be run by its path, as make does

import docker
from docker.errors import DockerException

from tests.conformance import images, net_stub, suite
from tests.conformance.cluster import BROKERS, Missing, cluster
from tests.conformance.measure import RUNNERS, Outcome, measure
from tests.services import docker_engine
from tests.services.process import StartFailed

RESULTS = suite.ROOT / "build" / "conformance"


def _arguments() -> argparse.Namespace:
    env = os.environ.get
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runner", choices=RUNNERS, default=env("RUNNER", "celeriac"), help="RUNNER")
    parser.add_argument("--broker", choices=BROKERS, default=env("BROKER", "embedded"), help="BROKER")
    parser.add_argument("--jobs", type=int, default=int(env("JOBS", "2")), help="JOBS: tests at once (2)")
    parser.add_argument("--tests", default=env("TESTS", ""), help="TESTS: for cwltest, as in '-n 1-20'")
    parser.add_argument(
        "--compare", action="store_true", help="run cwltool, then celeriac: the ratio of times"
    )
    parser.add_argument("--keep-images", action="store_true", help="build none: the engine gets them itself")
    arguments = parser.parse_args()
    for name, allowed in (("runner", RUNNERS), ("broker", BROKERS)):  # a default is not checked
        if getattr(arguments, name) not in allowed:
            parser.error(f"{name.upper()} is {getattr(arguments, name)!r}; there are {', '.join(allowed)}")
    return arguments


@contextmanager
def _web(client: docker.DockerClient) -> Iterator[None]:
    """Answer the network tests, if the Python image is a stand-in that asks for it."""
    variables = client.images.get("python:3-slim").attrs["Config"]["Env"] or []
    proxies = [line.partition("=")[2] for line in variables if line.startswith("http_proxy=")]
    address = proxies[0].removeprefix("http://").rstrip("/") if proxies else ""
    if not address or net_stub.serves(address):
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(net_stub.net_stub(address))
        except OSError as error:
            print(f"nothing will answer the network tests at {address}: {error}", file=sys.stderr)
        yield


def _passes(arguments: argparse.Namespace, tests: Path) -> Iterator[Outcome]:
    for runner in ("cwltool", "celeriac") if arguments.compare else (arguments.runner,):
        broker = arguments.broker if runner == "celeriac" else "embedded"
        label = f"celeriac-{broker}" if runner == "celeriac" else runner
        with (
            tempfile.TemporaryDirectory(prefix="cwl-", ignore_cleanup_errors=True) as home,
            cluster(broker, Path(home), RESULTS) as settings,
        ):
            outcome = measure(
                runner,
                tests,
                jobs=arguments.jobs,
                selection=shlex.split(arguments.tests),
                settings=settings,
                results=RESULTS,
                label=label,
            )
        print(outcome, flush=True)
        yield outcome


def _run(arguments: argparse.Namespace) -> int:
    tests = suite.find()
    RESULTS.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        engine = stack.enter_context(docker_engine.docker_engine()).url
        client = stack.enter_context(closing(docker.DockerClient(base_url=engine, timeout=600)))
        if not arguments.keep_images:
            images.ensure(client)
            stack.enter_context(_web(client))
        outcomes = list(_passes(arguments, tests))
    if arguments.compare:
        theirs, ours = outcomes
        unequal = "" if ours.passed >= theirs.passed else ", but passed fewer: the times do not compare"
        print(f"celeriac took {ours.seconds / theirs.seconds:.2f} times as long as cwltool{unequal}")
    if not outcomes[-1].started:
        return 2
    return 1 if outcomes[-1].exit_code else 0


def main() -> int:
    """Run the suite and say what came of it."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end what was started, as on Ctrl-C
    try:
        if reason := docker_engine.missing():
            raise Missing(f"The suite needs a Docker engine: {reason}")
        return _run(arguments)
    except (suite.NoSuite, Missing, images.CannotBuild, StartFailed, DockerException) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
