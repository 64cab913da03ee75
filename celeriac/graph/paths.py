"""Paths of nodes, ``align[3]/sort``, and their steps' addresses, ``align/sort``."""

from __future__ import annotations


def join(scope: str, name: str) -> str:
    """Return the path of a step in the workflow at ``scope``; the empty one is the run's own."""
    return f"{scope}/{name}" if scope else name


def step_name(path: str) -> str:
    """Return the name of a node's step in the workflow that it is in."""
    return path.rpartition("/")[2].partition("[")[0]


def address(path: str) -> str:
    """Return a node's path without indexes: its step's address."""
    return "/".join(part.partition("[")[0] for part in path.split("/"))
