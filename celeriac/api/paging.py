"""Page tokens: the place of the last entry that was shown. Entries that come later move nothing."""

from __future__ import annotations

import base64
import json
import math

from celeriac.errors import InputError

#: Entries of a page, unless asked otherwise, and at most.
USUAL = 100
MOST = 1000

#: When an entry was created, and its id: no two are at the same place.
Place = tuple[float, str]


def token(place: Place) -> str:
    """Return the token of a place."""
    return base64.urlsafe_b64encode(json.dumps(list(place)).encode()).decode().rstrip("=")


def place(token: str | None) -> Place | None:
    """Return the place of a token; None for none. Raises :class:`~celeriac.errors.InputError`."""
    if not token:
        return None
    try:
        if len(token) > 400:
            raise ValueError
        created, name = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True))
        if type(created) is not float or not math.isfinite(created) or not isinstance(name, str) or "\0" in name:
            raise ValueError
        name.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError("page_token is none that this server gave") from error
    return created, name


def size(asked: int | None) -> int:
    """Return how many entries a page has; raises :class:`~celeriac.errors.InputError` for none or fewer."""
    if asked is None:
        return USUAL
    if asked < 1:
        raise InputError(f"page_size is {asked}: a number above 0 was expected")
    return min(asked, MOST)
