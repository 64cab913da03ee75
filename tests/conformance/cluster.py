"""What a run on a broker needs, all of it private: the broker, the results, the journal, two workers."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conformance.suite import ROOT
from tests.services import postgresql_server, rabbitmq_server, redis_server
from tests.services.process import running

BROKERS = ("embedded", "redis", "rabbitmq")

WORKERS = {"default": 2, "advanced": 1}  # steps at once on each queue
_SERVICES = {
    "embedded": (),
    "redis": (redis_server, postgresql_server),
    "rabbitmq": (rabbitmq_server, postgresql_server),
}


class Missing(Exception):
    """A service that the chosen broker needs can't be started on this machine."""


@contextmanager
def cluster(broker: str, home: Path, logs: Path) -> Iterator[dict[str, str]]:
    """Yield the settings by which ``celeriac run`` finds the broker; end all that was started after.

    ``home`` is the work directory that runs and workers share; ``logs`` receives the workers' output.
    Raises :class:`Missing`, and ``tests.services.process.StartFailed`` for a service that won't serve.
    """
    settings = {"CELERIAC_HOME": str(home), "CELERIAC_BROKER_URL": "embedded"}
    reasons = [reason for service in _SERVICES[broker] if (reason := service.missing())]
    if reasons:
        raise Missing(f"BROKER={broker} needs more than there is here: " + "; ".join(reasons))
    with ExitStack() as stack:
        if broker != "embedded":
            settings |= _start_services(stack, broker)
            stack.enter_context(workers(settings, logs))
        yield settings


def _start_services(stack: ExitStack, broker: str) -> dict[str, str]:
    server = {"redis": redis_server.redis_server, "rabbitmq": rabbitmq_server.rabbitmq_server}[broker]
    return {
        "CELERIAC_BROKER_URL": stack.enter_context(server()).url,
        "CELERIAC_JOURNAL_URL": stack.enter_context(postgresql_server.postgresql_server()).url,
    }


@contextmanager
def workers(settings: Mapping[str, str], logs: Path) -> Iterator[None]:
    """Run the workers of :data:`WORKERS` while the block runs; their output goes to ``logs``."""
    with ExitStack() as stack:
        for queue, steps in WORKERS.items():
            stack.enter_context(_worker(queue, steps, settings, logs))
        yield


@contextmanager
def _worker(queue: str, steps: int, settings: Mapping[str, str], logs: Path) -> Iterator[None]:
    celery = str(Path(sys.executable).with_name("celery"))
    name = f"{queue}@{platform.node()}"
    # From the checkout, as a user starts it: celeryconfig.py is found there. `env -C` becomes celery.
    argv = ["env", "-C", str(ROOT), celery, "worker", "-Q", queue, "-c", str(steps), "-n", f"{queue}@%h"]
    ping = [celery, "inspect", "ping", "--timeout", "2", "--destination", name]
    environment = {**os.environ, **settings}

    def ready() -> bool:
        return (
            subprocess.run(ping, cwd=ROOT, env=environment, capture_output=True, check=False).returncode == 0
        )

    with running(argv, ready=ready, log=logs / f"worker-{queue}.log", env=settings):
        yield
