"""Local stand-ins for the container images that the conformance suites name, made of Debian's packages.

    python tests/conformance/images.py [--prefix PREFIX]

An image that is there already, the real one or a stand-in, is left as it is. Nothing is asked of an
image registry. Only ``debian:stable-slim`` needs root (for debootstrap); the others are built on it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from ipaddress import ip_network
from pathlib import Path

import docker
from docker.errors import BuildError, ContainerError, DockerException, ImageNotFound

STUB_PORT = 8990  # of net_stub.py, on the address that containers see the host at

_HERE = Path(__file__).resolve().parent
_NAMES = {
    "debian": ("debian:stable-slim", "debian:stretch-slim"),
    "python": ("python:3-slim", "python:3", "python:2-slim", "python:2.7.15-alpine3.7"),
    "alpine": ("alpine:latest",),
    "bash": ("bash:4.4", "bash:4.4.12"),
}
_TRIALS = {
    "debian": ["bash", "-c", "type cat cp echo find grep head mkdir rev sed sort tar touch true wc"],
    "python": ["python", "-c", "import json, urllib.request"],
    "alpine": ["sh", "-c", "type echo ln mkdir touch && ! type bash"],
    "bash": ["-c", "echo moo | cat && mkdir /x && cp /etc/passwd /x"],
}
_NOT_IN_AN_IMAGE = (
    *("./proc/*", "./sys/*", "./dev/*", "./debootstrap", "./var/cache/apt/*", "./var/lib/apt/lists/*"),
    *("./var/log/*", "./usr/share/doc/*", "./usr/share/info/*", "./usr/share/locale/*", "./usr/share/man/*"),
)
_SCAFFOLD = "celeriac.stand-in=scaffold"  # the label of a stage that no image needs any more
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CannotBuild(Exception):
    """An image is missing and can't be made here; the message says why and what would help."""


def ensure(client: docker.DockerClient, prefix: str = "") -> list[str]:
    """Make every image that is missing; return the names that were made.

    ``prefix`` goes before every name, to try this beside images in use. Raises :class:`CannotBuild`.
    """
    made = []
    for kind, names in _NAMES.items():
        wanted = [prefix + name for name in names]
        missing = [name for name in wanted if not _exists(client, name)]
        if not missing:
            continue
        if len(missing) == len(wanted):
            _make(client, kind, wanted[0], prefix + _NAMES["debian"][0])
            _try(client, kind, wanted[0])
        source = client.images.get(next(name for name in wanted if _exists(client, name)))
        for name in missing:
            repository, tag = name.rsplit(":", 1)
            source.tag(repository, tag)
        made += missing
    client.images.prune(filters={"dangling": True, "label": _SCAFFOLD})
    return made


def bridge_address(client: docker.DockerClient) -> str:
    """The address at which a container on the default network reaches the host."""
    pool = client.networks.get("bridge").attrs["IPAM"]["Config"][0]
    return str(pool.get("Gateway") or next(ip_network(pool["Subnet"]).hosts()))


def _exists(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except ImageNotFound:
        return False
    return True


def _make(client: docker.DockerClient, kind: str, name: str, base: str) -> None:
    print(f"building a stand-in for {name} ...", file=sys.stderr)
    if kind == "debian":
        _bootstrap(client, name)
        return
    arguments = {"BASE": base, "WEB": f"http://{bridge_address(client)}:{STUB_PORT}", **_proxy()}
    try:
        client.images.build(
            path=str(_HERE / "stand_ins"),
            target=kind,
            tag=name,
            buildargs=arguments,
            network_mode="host",  # apt has to get out, which a container's own network may not
            rm=True,
        )
    except BuildError as error:
        log = "".join(str(entry.get("stream", "")) for entry in error.build_log)
        raise CannotBuild(f"the stand-in for {name} can't be built: {error}\n{log[-2000:]}") from error


def _try(client: docker.DockerClient, kind: str, name: str) -> None:
    try:
        client.containers.run(name, _TRIALS[kind], network_mode="none", remove=True)
    except ContainerError as error:
        raise CannotBuild(f"the new stand-in for {name} does not do what the tests call: {error}") from error


def _bootstrap(client: docker.DockerClient, name: str) -> None:
    """Import a minimal Debian of the same release as the host (``DEBIAN_SUITE`` names another)."""
    program = _debootstrap()
    release = os.environ.get("DEBIAN_SUITE") or _own_release()
    with _scratch() as directory:
        root, archive = directory / "root", directory / "root.tar"
        _run([program, "--variant=minbase", release, str(root)], directory, name)
        excludes = [f"--exclude={pattern}" for pattern in _NOT_IN_AN_IMAGE]
        _run(
            ["tar", "-C", str(root), "--numeric-owner", *excludes, "-cf", str(archive), "."], directory, name
        )
        repository, tag = name.rsplit(":", 1)
        client.api.import_image_from_file(
            str(archive), repository=repository, tag=tag, changes=[f"ENV PATH={_PATH}", 'CMD ["bash"]']
        )


def _debootstrap() -> str:
    if os.geteuid() == 0:
        if not shutil.which("debootstrap") and shutil.which("apt-get"):
            subprocess.run(["apt-get", "install", "-yqq", "debootstrap"], stdout=sys.stderr, check=False)
        found = shutil.which("debootstrap")
        if found:
            return found
    raise CannotBuild(
        "there is no image debian:stable-slim, and making one takes root and debootstrap. Pull the image, "
        "or install debootstrap and run this as root once."
    )


def _own_release() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        key, _, value = line.partition("=")
        if key == "VERSION_CODENAME":
            return shlex.split(value)[0]
    return "stable"


@contextmanager
def _scratch() -> Iterator[Path]:
    directory = tempfile.mkdtemp(prefix="celeriac-images-")
    try:
        os.chmod(directory, 0o755)  # debootstrap's own unprivileged helpers have to enter
        yield Path(directory)
    finally:
        # One file system only: an interrupted debootstrap leaves the host's /proc mounted in there.
        subprocess.run(["rm", "-rf", "--one-file-system", directory], check=False)


def _run(argv: list[str], directory: Path, name: str) -> None:
    environment = {**os.environ, **_proxy()}
    done = subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stdout + done.stderr)[-2000:]
        raise CannotBuild(f"no stand-in for {name}: {argv[0]} ended with {done.returncode}\n{words}")


def _proxy() -> dict[str, str]:
    """The way out that the host's own apt takes; Docker does not keep such an argument in the image."""
    value = os.environ.get("http_proxy", "")
    if not value and shutil.which("apt-config"):
        argv = ["apt-config", "shell", "proxy", "Acquire::http::Proxy"]
        found = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
        value = "".join(shlex.split(found)).removeprefix("proxy=")
    return {"http_proxy": value} if value else {}


def main() -> int:
    """Make what is missing and name it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prefix", default="", help="put before every name, for a trial")
    arguments = parser.parse_args()
    try:
        with closing(docker.from_env(timeout=600)) as client:
            made = ensure(client, arguments.prefix)
    except (CannotBuild, DockerException) as error:
        print(f"{Path(__file__).name}: {error}", file=sys.stderr)
        return 1
    print("made: " + ", ".join(made) if made else "every image is there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
