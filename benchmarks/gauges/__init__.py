"""The gauges: what is measured on a broker with workers. One file each."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.gauges import clients, empty, latency
from benchmarks.gauges.base import Gauge

__all__ = ["DEFAULT", "KINDS", "Gauge", "parse"]

#: What is measured when nothing else is asked for.
DEFAULT = "latency:200,empty:1000,clients:200"

KINDS: dict[str, Callable[[int], Gauge]] = {"latency": latency.gauge, "empty": empty.gauge, "clients": clients.gauge}


def parse(spec: str) -> Gauge:
    """Return the gauge that ``KIND:SIZE`` names; raises ValueError with a sentence for the user."""
    kind, _, size = spec.strip().partition(":")
    if kind not in KINDS or not size.isdecimal() or int(size) < 2:
        raise ValueError(f"a gauge is written KIND:N with N from 2 ({', '.join(KINDS)}), not {spec.strip()!r}")
    return KINDS[kind](int(size))
