"""What Celeriac adds to Celery's own command line: `celery slots`, `celery inspect slots`, and
`celery worker --oversubscribe`.

Celery imports this when its command line starts, as an entry point of `celery.commands`. That is the only
moment at which the default app, which a checkout has, can be given options of its own: so this module,
unlike all others, does something when it is imported. (Celery's documentation, Extensions and Bootsteps.)
"""

from __future__ import annotations

import click
from celery.bin.base import CeleryOption
from celery.bin.worker import worker

from config import remote_slots

worker.params.append(
    CeleryOption(
        ["--oversubscribe"],
        is_flag=True,
        help="Run as many steps at once as -c says, though the host does not hold them (Celeriac).",
        help_group="Pool Options",
    )
)

remote_slots.connect()


@click.command()
def slots() -> None:
    """Show what the steps on this host have taken of it, and what waits (Celeriac)."""
    from celeriac.errors import CeleriacError
    from celeriac.settings import Settings
    from celeriac.slots import attempts_of
    from config.composition import budget_of
    from queues.ledger import overview

    try:
        settings = Settings.load()
        entries = overview(settings.slots_directory)
        click.echo(f"host: {budget_of(settings)}")
    except CeleriacError as error:
        raise SystemExit(f"celeriac: error: {error}") from error
    for entry in entries:
        state = "is being given back" if entry.dead else "waits" if entry.waiting else "runs"
        gpus = f" (GPU {', '.join(entry.gpus)})" if entry.gpus else ""
        first, *others = attempts_of(entry.name)
        name = f"{first} and {len(others)} more" if others else first
        click.echo(f"{name}: {entry.resources}{gpus}: {state}, {entry.worker}")
    if not entries:
        click.echo("nothing runs")
