"""What the service is and can do (WES 1.1, ServiceInfo). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import celeriac
from celeriac.api.wes.options import described
from celeriac.api.wes.request import ENGINE, VERSIONS
from celeriac.api.wes.states import failure, state
from celeriac.job.options import RunOptions
from celeriac.states import RunState

WES_VERSIONS = ("1.1.0",)


def info(base: str, auth_url: str, usual: RunOptions, counts: Mapping[str, int], remote: bool) -> dict[str, Any]:
    """Return the description; ``remote``: inputs may come over http(s)."""
    return {
        "id": "org.celeriac.wes",
        "name": "Celeriac",
        "type": {"group": "org.ga4gh", "artifact": "wes", "version": WES_VERSIONS[0]},
        "description": "Runs Common Workflow Language workflows on Celery.",
        "organization": {"name": "Celeriac", "url": base},
        "documentationUrl": f"{base}/openapi.json",
        "version": celeriac.__version__,
        "workflow_type_versions": {"CWL": {"workflow_type_version": list(VERSIONS)}},
        "supported_wes_versions": list(WES_VERSIONS),
        "supported_filesystem_protocols": ["file", *(["http", "https"] if remote else [])],
        "workflow_engine_versions": {ENGINE: {"workflow_engine_version": [celeriac.__version__]}},
        "default_workflow_engine_parameters": described(usual),
        "system_state_counts": dict(counts),
        "auth_instructions_url": auth_url,
        "tags": {},
    }


def counts(rows: Iterable[Any]) -> dict[str, int]:
    """Count runs in the words of WES: ``rows`` have a state, the type of its error, and a number."""
    found: dict[str, int] = {}
    for row in rows:
        name = failure(row.kind) if row.state == RunState.FAILED else state(row.state)
        found[name] = found.get(name, 0) + row.number
    return found
