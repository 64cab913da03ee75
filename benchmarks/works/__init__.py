"""The works: what the runners are given to do. One generator per file; nothing big is committed."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.works import chain, containers, layers, load, scatter, startup
from benchmarks.works.base import Case, Work

__all__ = ["DEFAULT", "Case", "Work", "parse"]

#: What is measured when nothing else is asked for, in this order.
DEFAULT = (
    "startup,scatter:100,scatter:1000,scatter:10000,chain:50,layers:20x20,"
    "containers:40,containers-reused:40,load:1000"
)

_KINDS: dict[str, tuple[int, Callable[..., Work]]] = {
    "startup": (0, startup.work),
    "scatter": (1, scatter.work),
    "chain": (1, chain.work),
    "layers": (2, layers.work),
    "containers": (1, containers.work),
    "containers-reused": (1, containers.reused),
    "load": (1, load.work),
}


def parse(spec: str) -> Work:
    """Return the work that ``KIND[:SIZE]`` names, such as ``scatter:1000`` or ``layers:20x20``.

    Raises ValueError with a sentence for the user.
    """
    kind, _, size = spec.strip().partition(":")
    if kind not in _KINDS:
        raise ValueError(f"no work named {kind!r}; there are {', '.join(_KINDS)}")
    wanted, make = _KINDS[kind]
    numbers = size.split("x") if size else []
    if len(numbers) != wanted or not all(n.isdecimal() and int(n) > 0 for n in numbers):
        form = kind + (":" + "x".join(["N"] * wanted) if wanted else "")
        raise ValueError(f"a work of this kind is written {form}, not {spec.strip()!r}")
    return make(*map(int, numbers))
