"""Scatter: one step's inputs -> its items, and their outputs -> arrays of the right shape.

CWL v1.2, WorkflowStep, "scatter" and "scatterMethod". Items are numbered in the order of the result;
a shape is ``[n]``, or one number a dimension for nested_crossproduct.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from celeriac.errors import DocumentError, InputError


@dataclass(frozen=True)
class Expansion:
    """A scattered step's items."""

    common: dict[str, Any]  # what all items share
    shape: tuple[int, ...]
    scatter: tuple[str, ...]
    dot: bool
    arrays: tuple[Sequence[Any], ...]

    @property
    def width(self) -> int:
        """How many items there are."""
        return math.prod(self.shape)

    def items(self) -> Iterator[dict[str, Any]]:
        """Yield what is each item's own, in order: scattered input -> its element."""
        rows = zip(*self.arrays, strict=True) if self.dot else itertools.product(*self.arrays)
        for row in rows:
            yield dict(zip(self.scatter, row, strict=True))


def expand(scatter: tuple[str, ...], method: str | None, inputs: Mapping[str, Any], step: str) -> Expansion:
    """Split a step's inputs into items.

    Raises :class:`~celeriac.errors.InputError` when an input is no array or lengths differ.
    """
    arrays = []
    for name in scatter:
        value = inputs.get(name)
        if not isinstance(value, list):
            raise InputError(
                f"step '{step}' scatters over '{name}', so an array was expected, but it is "
                f"{'null' if value is None else type(value).__name__}"
            )
        arrays.append(value)
    if method is None and len(scatter) != 1:
        raise DocumentError(f"step '{step}' scatters over {len(scatter)} inputs, so it must name a scatterMethod")
    lengths = tuple(len(array) for array in arrays)
    dot = method in (None, "dotproduct")
    if dot and len(set(lengths)) > 1:
        raise InputError(
            f"step '{step}' scatters by dotproduct over inputs of different lengths: "
            + ", ".join(f"{name} has {length}" for name, length in zip(scatter, lengths, strict=True))
        )
    return Expansion(
        common={name: value for name, value in inputs.items() if name not in scatter},
        shape=_shape(method, lengths, dot),
        scatter=scatter,
        dot=dot,
        arrays=tuple(arrays),
    )


def _shape(method: str | None, lengths: tuple[int, ...], dot: bool) -> tuple[int, ...]:
    if dot:
        return lengths[:1]
    if method == "nested_crossproduct":
        return lengths
    if method == "flat_crossproduct":
        return (math.prod(lengths),)
    raise DocumentError(
        f"scatterMethod is '{method}': dotproduct, nested_crossproduct or flat_crossproduct was expected"
    )


def collect(shape: Sequence[int], names: Iterable[str], outputs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the items' outputs, in order, into one array an output, nested as ``shape`` says."""
    rows = list(outputs)
    return {name: _nest(shape, iter([row.get(name) for row in rows])) for name in names}


def _nest(shape: Sequence[int], values: Iterator[Any]) -> list[Any]:
    if len(shape) == 1:
        return [next(values) for _ in range(shape[0])]
    return [_nest(shape[1:], values) for _ in range(shape[0])]
