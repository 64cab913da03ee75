"""Who asks: tokens (JWT, RFC 7519) and API keys. Pure: values in, a caller or an error out.

The algorithms that are taken are ours, never the token's: ``none`` is not among them, and one that signs with
a shared secret (HS*) is not, where the key is a public one: anybody could sign with that.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from celeriac.api.errors import HttpError
from celeriac.errors import SettingsError

#: What a caller may be allowed to do; ``admin`` is all of it, with everybody's runs.
SCOPES = ("read", "submit", "cancel", "admin")
#: What API keys begin with.
KEY_PREFIX = "celeriac_"
#: Clocks may differ by so many seconds.
LEEWAY = 10
#: Characters of the longest token that is looked at.
LONGEST = 16_384
#: Who has signed an order, but does not say who it is. Nobody else may be called so: it would see their runs.
UNNAMED = "unnamed"
#: Claims that tell of a token itself.
_OWN = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "scope"})
#: Claims of an order, of which each has one.
_ORDER = frozenset({"run_id", "conf", "workflow_data"})
_SECRET = frozenset({"HS256", "HS384", "HS512"})
_PUBLIC = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA"}
)


@dataclass(frozen=True)
class Caller:
    """Who asks, and what for. Without a name: there is no authentication, and everything is allowed."""

    name: str | None
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the caller has a scope."""
        return scope in self.scopes or "admin" in self.scopes

    @property
    def sees(self) -> str | None:
        """The caller whose runs are seen; None: everybody's."""
        return None if "admin" in self.scopes else self.name


#: Where nobody has to say who it is.
ANYBODY = Caller(None, frozenset(SCOPES))


@dataclass(frozen=True)
class TokenRules:
    """How tokens are verified."""

    key: str  # a public key in PEM, or a secret
    algorithms: tuple[str, ...]
    issuer: str | None = None
    audience: str | None = None


def rules(key: str, algorithms: str, issuer: str = "", audience: str = "") -> TokenRules | None:
    """Return the rules that settings make; None without a key.

    ``key`` is the path of a file or the key itself. Raises :class:`~celeriac.errors.SettingsError` for a key
    that does not go with the algorithms.
    """
    if not key:
        return None
    text = _read(key).strip()
    named = tuple(algorithms.replace(",", " ").split())
    unknown = set(named) - _SECRET - _PUBLIC
    if not named or unknown:
        found = ", ".join(sorted(unknown)) or "empty"
        hint = "known: " + ", ".join(sorted(_PUBLIC | _SECRET))
        raise SettingsError(f"CELERIAC_API_JWT_ALGORITHMS is {found}: names of signatures were expected", hint=hint)
    public = "-----BEGIN" in text
    if public and "PRIVATE KEY" in text:
        raise SettingsError(
            "CELERIAC_API_JWT_KEY is a private key, but a public one was expected",
            hint="whoever verifies tokens needs the public key only: openssl pkey -in private.pem -pubout",
        )
    wrong = set(named) & (_SECRET if public else _PUBLIC)
    if wrong:
        kind = "a public key in PEM" if public else "a secret"
        raise SettingsError(
            f"CELERIAC_API_JWT_KEY is {kind}, which does not go with {', '.join(sorted(wrong))}",
            hint="set CELERIAC_API_JWT_ALGORITHMS to what signs with such a key (RS256, or HS256 for a secret)",
        )
    if not public and len(text.encode()) < 32:
        raise SettingsError(
            f"CELERIAC_API_JWT_KEY is a secret of {len(text.encode())} bytes: 32 or more were expected",
            hint="a short one can be guessed from any token: openssl rand -hex 32",
        )
    return TokenRules(text, named, issuer or None, audience or None)


def _read(key: str) -> str:
    """Return the key that a path names, or the key itself."""
    if "-----BEGIN" in key:
        return key
    path = Path(key).expanduser()
    looks = "/" in key or key.startswith("~") or key.endswith((".pem", ".pub", ".key"))
    try:
        if looks or path.is_file():
            return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise SettingsError(f"CELERIAC_API_JWT_KEY names the file {key}, which can't be read: {why}") from error
    return key


def claims(token: str, rules: TokenRules) -> dict[str, Any]:
    """Return what a token says, once it is found right; raises a 403 otherwise.

    Signature, ``exp``, ``nbf``, ``iat``, and where they are set issuer and audience; a token that names an
    audience is refused where none is set: it is meant for somebody else.
    """
    import jwt

    if len(token) > LONGEST:
        raise refused("it is too long")
    try:
        found = jwt.decode(
            token,
            rules.key,
            algorithms=list(rules.algorithms),
            issuer=rules.issuer,
            audience=rules.audience,
            leeway=LEEWAY,
        )
    except jwt.ExpiredSignatureError as error:
        raise refused("it has expired") from error
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise refused("it does not verify") from error
    return dict(found)


def refused(why: str) -> HttpError:
    """Return the error for a token or key that is wrong; it says no more than it has to."""
    return HttpError(403, f"the token was refused: {why}")


def caller(found: Mapping[str, Any]) -> Caller:
    """Return who a token's claims say it is (``sub``), with the scopes in ``scope``; raises a 403."""
    name = found.get("sub")
    if not isinstance(name, str) or not name or len(name) > 255 or not name.isprintable():
        raise refused("its claim 'sub' names nobody")
    if name == UNNAMED:
        raise refused(f"its claim 'sub' is {UNNAMED!r}, as those are called who sign without a name")
    return Caller(name, scopes(found.get("scope")))


def scopes(value: Any) -> frozenset[str]:
    """Return those of our scopes that a claim names: a text with blanks (RFC 8693, 4.2) or a list."""
    words = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(word for word in words if isinstance(word, str)) & frozenset(SCOPES)


def credentials(header: str | None) -> str | None:
    """Return the token of an ``Authorization`` header: Bearer, or Basic with the token as its password.

    None without a header; raises a 403 for what is neither.
    """
    if not header:
        return None
    kind, _, rest = header.strip().partition(" ")
    if kind.lower() == "bearer" and rest.strip():
        return rest.strip()
    if kind.lower() == "basic":
        try:
            name, _, password = base64.b64decode(rest.strip(), validate=True).decode("utf-8").partition(":")
        except ValueError as error:
            raise refused("the Authorization header can't be read") from error
        if password or name:
            return password or name
    raise refused("the Authorization header is neither Bearer nor Basic")


# --- API keys -------------------------------------------------------------------------------------


def new_key() -> str:
    """Return a new API key: 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def is_key(token: str) -> bool:
    """Whether a token is an API key rather than a JWT."""
    return token.startswith(KEY_PREFIX)


def digest(key: str) -> str:
    """Return what is kept of an API key. It is random and long: no slow hash is needed."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def same(one: str, other: str) -> bool:
    """Compare two texts in a time that tells nothing of them."""
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))


# --- orders ---------------------------------------------------------------------------------------


def is_order(found: Mapping[str, Any]) -> bool:
    """Whether claims are those of a signed order: good for what it asks for, once, and for nothing else."""
    return not _ORDER.isdisjoint(found)


def tells(found: Mapping[str, Any], said: Mapping[str, Any], workflow: str) -> bool:
    """Whether a token's claims are exactly what was ``said``, beside those that tell of the token itself.

    The address says which ``workflow`` is meant, and the old clients don't sign that. A claim ``dag_id`` binds a
    token to one: it has to be this.
    """
    if found.get("dag_id", workflow) != workflow:
        return False
    more = (_OWN | {"dag_id"}) - said.keys()
    claimed = {name: value for name, value in found.items() if name not in more}
    try:
        return same(_canonical(claimed), _canonical(said))
    except RecursionError:  # nested so deeply that it was read, but can't be written
        return False


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True)
