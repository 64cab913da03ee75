"""What arrives at a port: sources, linkMerge, pickValue and default, in CWL's order.

CWL v1.2, Workflow: "Merging multiple inbound data links", "Picking non-null values among inbound
data links".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from celeriac.errors import DocumentError
from celeriac.graph.model import MISSING, Port


def gather(
    ports: Iterable[Port], values: Mapping[str, Any], *, multiple_input: bool, incomplete: bool = False
) -> dict[str, Any]:
    """Return what arrives at each port; ``values`` has one entry a source (``port``, ``step/port``).

    ``incomplete`` lets a missing source be null: the outputs of a workflow that failed on the way.
    Raises :class:`~celeriac.errors.DocumentError` when a link can't give a value.
    """
    arrived: dict[str, Any] = {}
    for port in ports:
        value = _linked(port, values, multiple_input, incomplete)
        if port.pick_value and isinstance(value, list):
            value = pick(port.name, port.pick_value, value)
        if (value is MISSING or value is None) and port.default is not MISSING:
            value = port.default
        if value is MISSING:
            if port.value_from is None and not incomplete and port.sources is None:
                raise DocumentError(f"no value for '{port.name}': it has no source, default or valueFrom")
            value = None
        arrived[port.name] = value
    return arrived


def _linked(port: Port, values: Mapping[str, Any], multiple_input: bool, incomplete: bool) -> Any:
    if port.sources is None:
        return MISSING
    if len(port.sources) > 1 and not multiple_input:
        raise DocumentError(
            f"'{port.name}' has {len(port.sources)} sources, but MultipleInputFeatureRequirement is not declared"
        )
    merge = port.link_merge or ("merge_nested" if len(port.sources) > 1 else None)
    found = [values[source] for source in port.sources if source in values or not incomplete]
    if merge is None:
        return found[0] if found else MISSING
    if merge == "merge_nested":
        return found
    if merge == "merge_flattened":
        return [item for value in found for item in (value if isinstance(value, list) else [value])]
    raise DocumentError(f"'{port.name}' has linkMerge '{merge}': merge_nested or merge_flattened was expected")


def pick(name: str, how: str, values: list[Any]) -> Any:
    """Apply pickValue. Raises :class:`~celeriac.errors.DocumentError` when it can't be kept."""
    present = [value for value in values if value is not None]
    if how == "all_non_null":
        return present
    if not present:
        raise DocumentError(f"all sources of '{name}' are null, but its pickValue is {how}")
    if how == "the_only_non_null" and len(present) > 1:
        raise DocumentError(f"{len(present)} sources of '{name}' are not null, but its pickValue is {how}")
    return present[0]
