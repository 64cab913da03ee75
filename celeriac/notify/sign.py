"""The body of a post: the payload as it is, or, where a key is set, a JWT whose claims are the payload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from celeriac.errors import SettingsError
from celeriac.settings import PREFIX, Settings

#: What notices may be signed with: RSA, elliptic curves, or a secret that both sides have.
ALGORITHMS = frozenset({"EdDSA", *(f"{kind}{bits}" for kind in ("RS", "PS", "ES", "HS") for bits in (256, 384, 512))})
_NAME = f"{PREFIX}NOTIFY_KEY"


def body(settings: Settings, payload: dict[str, Any]) -> bytes:
    """Return what is posted, as JSON.

    Raises :class:`~celeriac.errors.SettingsError` where a key is set that can't be used: never is what should be
    signed sent unsigned. Neither the key nor a part of it is in the message.
    """
    if not settings.notify_key:
        return json.dumps({"payload": payload}).encode()
    return json.dumps({"payload": _signed(settings, payload)}).encode()


def _signed(settings: Settings, payload: dict[str, Any]) -> str:
    import jwt

    algorithm = settings.notify_algorithm
    if algorithm not in ALGORITHMS:
        raise SettingsError(
            f"{PREFIX}NOTIFY_ALGORITHM is {algorithm!r}, which signs nothing",
            hint="known: " + ", ".join(sorted(ALGORITHMS)),
        )
    key = _key(settings.notify_key, secret=algorithm.startswith("HS"))
    try:
        return jwt.PyJWT(options={"enforce_minimum_key_length": True}).encode(payload, key, algorithm)
    except Exception as error:  # the library's own, and those of what it signs with; they may quote the key
        secret = "give a random secret of at least as many bits as the algorithm's name says"
        private = "give the path of a private key in PEM, without a passphrase and of that kind"
        raise SettingsError(
            f"{_NAME} can't be used to sign with {algorithm} ({type(error).__name__})",
            hint=secret if algorithm.startswith("HS") else private,
        ) from None


def _key(given: str, *, secret: bool) -> bytes:
    """Return the key: a file's content, or the setting itself where it is a PEM or may be a secret."""
    if given.lstrip().startswith("-----BEGIN"):
        return given.encode()
    if secret and not given.startswith(("/", "./", "../", "~")):
        return given.encode()
    try:
        return Path(given).expanduser().read_bytes().strip() + (b"" if secret else b"\n")
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no path"
        raise SettingsError(f"{_NAME} can't be read: {why}", hint="give the path of a private key in PEM") from None
