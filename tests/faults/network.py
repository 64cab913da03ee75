"""A network of a test's own: a namespace with one cable to this host, whose ports can be shut."""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults import namespaces
from tests.faults.namespaces import Namespaces
from tests.services.require import require

#: Within a block that is set aside for tests of networks (RFC 2544).
_BLOCK = "198.18"
#: All that comes and goes by a port is dropped: nobody hears of it.
_RULES = """\
table inet fault {{
  chain out {{ type filter hook output priority 0; tcp dport {port} drop; }}
  chain in {{ type filter hook input priority 0; tcp sport {port} drop; }}
}}
"""


class Network:
    """The namespace as seen from this host; :attr:`host` is this host as seen from there."""

    def __init__(self, apart: Namespaces, host: str) -> None:
        self.host = host
        self._apart = apart

    def words(self) -> list[str]:
        """Return the words before a command that is to be there."""
        return self._apart.words()

    def drop(self, port: int) -> None:
        """Drop all packets from there to a port of this host, and back."""
        self._run("nft", "-f", "-", text=_RULES.format(port=port))

    def mend(self) -> None:
        """Let all pass again."""
        self._run("nft", "delete", "table", "inet", "fault")

    def _run(self, *argv: str, text: str = "") -> None:
        _run(*self.words(), *argv, text=text)


@contextmanager
def network() -> Iterator[Network]:
    """Yield a network with nobody in it; who is in it at the end is killed."""
    lacking = [name for name in ("ip", "nft") if shutil.which(name) is None]
    reason = namespaces.missing() or (f"not on the PATH: {', '.join(lacking)}" if lacking else "")
    require(reason, available=not reason)
    cable, third = f"fault-{secrets.token_hex(3)}", secrets.randbelow(256)
    host, there = f"{_BLOCK}.{third}.1", f"{_BLOCK}.{third}.2"
    with namespaces.namespaces("net") as apart:
        _run("ip", "link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", str(apart.holder))
        try:
            _run("ip", "address", "add", f"{host}/30", "dev", cable)
            _run("ip", "link", "set", cable, "up")
            for words in ("link set lo up", f"address add {there}/30 dev eth0", "link set eth0 up"):
                _run(*apart.words(), "ip", *words.split())
            yield Network(apart, host)
        finally:
            _run("ip", "link", "delete", cable)


def _run(*argv: str, text: str = "") -> None:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
