"""What follows a try to deliver a notice. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from celeriac.settings import Settings

#: Tries of a notice that its listener refuses: another answer is hardly to be expected.
REFUSED_TRIES = 3
#: Answers 4xx that mean "later", not "no": request timeout, too early, too many requests.
LATER = frozenset({408, 425, 429})


class Kind(StrEnum):
    """How a try went."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # the listener wants it not, or not there
    FAILED = "failed"  # the listener is there and can't take it now
    AWAY = "away"  # nobody answered
    UNSENT = "unsent"  # it could not be sent as it has to be: no listener is set, or nothing to sign with
    TOO_LARGE = "too large"


@dataclass(frozen=True)
class Answer:
    """How a try went, in words that hold no secret; ``wait`` is the seconds that the listener asks for."""

    kind: Kind
    reason: str = ""
    wait: float = 0.0


class Next(StrEnum):
    """What follows."""

    FORGET = "forget"  # it has arrived
    PUT_OFF = "put off"  # it, with what waits behind it
    PUT_OFF_ALL = "put off all"  # and all else that waits for its listener
    BURY = "bury"  # give it up, and go on with the next
    BURY_LINE = "bury line"  # give up all that waits behind it, too


def of_status(code: int, wait: float = 0.0) -> Answer:
    """Return what an HTTP status means; redirects are not followed."""
    if 200 <= code < 300:
        return Answer(Kind.DELIVERED)
    if 300 <= code < 400:
        return Answer(Kind.REFUSED, f"it answered {code}: redirects are not followed")
    refused = 400 <= code < 500 and code not in LATER
    return Answer(Kind.REFUSED if refused else Kind.FAILED, f"it answered {code}", wait)


def after(answer: Answer, tries: int, settings: Settings) -> Next:
    """Return what follows the ``tries``-th try.

    What nobody answers to is given up together: to find that out notice by notice would take days. What can't
    be signed is never given up: it is this side that has to be put right.
    """
    match answer.kind:
        case Kind.DELIVERED:
            return Next.FORGET
        case Kind.TOO_LARGE:
            return Next.BURY
        case Kind.UNSENT:
            return Next.PUT_OFF
        case Kind.REFUSED:
            return Next.BURY if tries >= min(REFUSED_TRIES, settings.notify_tries) else Next.PUT_OFF
        case Kind.FAILED:
            return Next.BURY if tries >= settings.notify_tries else Next.PUT_OFF
        case Kind.AWAY:
            return Next.BURY_LINE if tries >= settings.notify_tries else Next.PUT_OFF_ALL


def pause(answer: Answer, tries: int, settings: Settings, chance: float) -> float:
    """Return the seconds before the next try: doubled each time, and spread by ``chance`` (0 to 1) by a quarter."""
    doubled = settings.notify_backoff * 2.0 ** min(tries - 1, 32)
    spread = min(doubled, settings.notify_longest) * (0.75 + 0.5 * chance)
    return min(max(spread, answer.wait), settings.notify_longest)
