"""Conditions on paths of nodes: ``align``, ``align[3]``, ``align[3]/sort``."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, or_


def below(column: Column[str], path: str) -> ColumnElement[bool]:
    """Whether it is a part of the node at ``path``, directly or through others."""
    if not path:
        return column != ""
    return or_(column.startswith(f"{path}/", autoescape=True), column.startswith(f"{path}[", autoescape=True))
