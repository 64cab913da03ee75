"""Found by Celery's default loader when a command such as `celery worker -Q advanced` runs here.

Celery takes an ImportError of this module for its absence and goes on with its own defaults, so an
error of ours is never raised as one.
"""

import sys

try:
    from celeriac.errors import CeleriacError
    from celeriac.settings import Settings
    from config.celery_settings import cluster
    from config.composition import cluster_queues
    from config.worker import connect

    _settings = Settings.load()
    globals().update(cluster(_settings, cluster_queues(_settings)()))
    connect()
except ImportError as error:
    sys.exit(f"Celeriac can't be imported: {error}. Is its environment active (make, then .venv/bin/celery)?")
except CeleriacError as error:
    sys.exit(f"celeriac: {error}")
