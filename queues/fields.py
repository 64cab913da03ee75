"""One queue's keys: what each may hold, and what is said when it holds something else."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from typing import Any

import yaml

from queues.nodes import BOOLEAN, Refused, describe, line_of, shown

# Decimal as everybody reads it. YAML 1.1 would also take 010 (eight), 1:30 (ninety) and 0x10.
_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)(\.[0-9_]*)?([eE][-+]?[0-9]+)?")

_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

# Words from CWL and elsewhere that are too far from ours to be found by their spelling.
_SYNONYMS = {
    "cores": "cpus",
    "coresmin": "cpus",
    "mem": "ram",
    "memory": "ram",
    "rammin": "ram",
    "timeout": "max_runtime",
}


def cpus(node: yaml.Node, what: str) -> float:
    """Cores, a fraction is allowed."""
    return _positive(node, what, "Write the number of cores, such as 2 or 0.5.")


def ram(node: yaml.Node, what: str) -> int:
    """Memory in MiB."""
    hint = "Write the number of MiB without a unit, such as 2048."
    _positive(node, what, hint)
    return _whole(node, what, hint)


def gpus(node: yaml.Node, what: str) -> int:
    """GPUs, 0 for none."""
    hint = "Write the number of GPUs, such as 1, or leave the key out."
    number = _whole(node, what, hint)
    if number < 0:
        raise _refused(node, what, "0 or more", hint)
    return number


def priority(node: yaml.Node, what: str) -> int:
    """Which queue a worker of several looks at first."""
    hint = "Write a whole number from 0 to 9, or leave the key out."
    number = _whole(node, what, hint)
    if not 0 <= number <= 9:
        raise _refused(node, what, "from 0 to 9", hint)
    return number


def max_runtime(node: yaml.Node, what: str) -> float:
    """Seconds."""
    return _positive(node, what, "Write the number of seconds, such as 3600, or leave the key out.")


def default(node: yaml.Node, what: str) -> bool:
    """Whether steps without a ResourceRequirement prefer this queue."""
    word = str(node.value).lower()
    if node.tag != BOOLEAN or word not in _BOOLEANS:
        raise _refused(node, what, "true or false", "Write true without quotes, or leave the key out.")
    return _BOOLEANS[word]


#: Every key of a queue with the function that reads it.
KEYS: dict[str, Callable[[yaml.Node, str], Any]] = {
    "cpus": cpus,
    "ram": ram,
    "gpus": gpus,
    "priority": priority,
    "max_runtime": max_runtime,
    "default": default,
}


def unknown(key: yaml.ScalarNode, queue: str) -> Refused:
    """Return the refusal of a key that no queue has, with the nearest that there is."""
    word = key.value.lower()
    near = [_SYNONYMS[word]] if word in _SYNONYMS else difflib.get_close_matches(word, KEYS, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}? " if near else ""
    return Refused(
        line_of(key),
        f"queue {queue}: unknown key {shown(key.value)}",
        f"{hint}The keys are {', '.join(KEYS)}.",
    )


def _whole(node: yaml.Node, what: str, hint: str) -> int:
    number = _number(node, what, hint)
    if not number.is_integer():
        raise _refused(node, what, "a whole number", hint)
    # Not from the float where there is a choice: it is exact to 53 bits only.
    digits = str(node.value).replace("_", "")
    return int(digits) if digits.lstrip("+-").isdecimal() else int(number)


def _positive(node: yaml.Node, what: str, hint: str) -> float:
    number = _number(node, what, hint)
    if number <= 0:
        raise _refused(node, what, "greater than 0", hint)
    return number


def _number(node: yaml.Node, what: str, hint: str) -> float:
    # A quoted number has a style; guessing what its writer meant would hide the next mistake.
    if not isinstance(node, yaml.ScalarNode) or node.style:
        raise _refused(node, what, "a number", hint)
    if not _DECIMAL.fullmatch(node.value):
        special = node.value.lower().lstrip("+-") in (".nan", ".inf")
        raise _refused(node, what, "a finite number" if special else "a number", hint)
    number = float(node.value.replace("_", ""))
    if not math.isfinite(number):
        raise _refused(node, what, "a finite number", hint)
    return number


def _refused(node: yaml.Node, what: str, expected: str, hint: str) -> Refused:
    return Refused(line_of(node), f"{what} must be {expected}, found {describe(node)}", hint)
