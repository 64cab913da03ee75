"""Who may call over HTTP: API keys, and tokens that were used."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, select

from celeriac.journal.database import now
from celeriac.journal.tables import Record, keys, tokens
from celeriac.journal.upsert import insert_new


def add_key(connection: Connection, name: str, digest: str, scopes: Sequence[str]) -> bool:
    """Add a key by its digest; False when there is one of that name."""
    return insert_new(connection, keys, name=name, digest=digest, scopes=list(scopes), created=now())


def key(connection: Connection, digest: str) -> Record | None:
    """Return the key with this digest, or None."""
    return connection.execute(select(keys).where(keys.c.digest == digest)).first()


def all_keys(connection: Connection) -> Sequence[Record]:
    """Return all keys, by name."""
    return connection.execute(select(keys).order_by(keys.c.name)).all()


def any_key(connection: Connection) -> bool:
    """Whether there is a key at all."""
    return connection.execute(select(keys.c.name).limit(1)).first() is not None


def remove_key(connection: Connection, name: str) -> bool:
    """Remove a key; False when there is none of that name."""
    return bool(connection.execute(delete(keys).where(keys.c.name == name)).rowcount)


def use_token(connection: Connection, jti: str, expires: float) -> bool:
    """Note that a token was used; False when it was before. Those that have expired are forgotten."""
    connection.execute(delete(tokens).where(tokens.c.expires < now() - 60))
    return insert_new(connection, tokens, jti=jti, expires=expires)


def is_used(connection: Connection, jti: str) -> bool:
    """Whether a token was used. It may be used by another by the time this is known: :func:`use_token` decides."""
    return connection.execute(_USED, {"jti": jti}).first() is not None


_USED = select(tokens.c.jti).where(tokens.c.jti == bindparam("jti"))
