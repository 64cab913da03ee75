"""Images that need no registry: a stand-in made of the host's static busybox."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing, contextmanager

import docker
from docker.errors import ImageNotFound

NAME = "alpine"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "usr/bin", "var", "var/tmp")
_FILES = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": b"root:x:0:\nnobody:x:65534:\n",
}


def missing(url: str) -> str:
    """Say why the engine at ``url`` has no such image and can't be given one; empty if it has or can."""
    with closing(docker.DockerClient(base_url=url)) as client:
        if _find(client) or _is_static(shutil.which("busybox")):
            return ""
    return f"the engine has no image {NAME!r}, and there is no static busybox to make one from"


@contextmanager
def docker_images(url: str) -> Iterator[dict[str, str]]:
    """Yield the id of each image by its name; what had to be made is removed again.

    An image that is there is used as it is: it may be the real one.
    """
    with closing(docker.DockerClient(base_url=url)) as client:
        found = _find(client)
        if found:
            yield {NAME: found}
            return
        changes = [f"ENV PATH={_PATH}", 'CMD ["/bin/sh"]']
        client.api.import_image_from_data(_root_file_system(), repository=NAME, tag="latest", changes=changes)
        try:
            yield {NAME: str(client.images.get(NAME).id)}
        finally:
            client.images.remove(NAME, force=True)


def _find(client: docker.DockerClient) -> str:
    try:
        return str(client.images.get(NAME).id)
    except ImageNotFound:
        return ""


def _is_static(program: str | None) -> bool:
    if program is None:
        return False
    with open(program, "rb") as file:
        return b"/ld-linux" not in file.read()


def _root_file_system() -> bytes:
    busybox = shutil.which("busybox")
    assert busybox is not None
    listing = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in _FOLDERS:
            archive.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777 if folder.endswith("tmp") else 0o755))
        for path, text in _FILES.items():
            archive.addfile(_entry(path, tarfile.REGTYPE, 0o644, len(text)), io.BytesIO(text))
        archive.add(os.path.realpath(busybox), "bin/busybox")
        for applet in set(listing.stdout.split()) - {"busybox"}:
            link = _entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777)
            link.linkname = "busybox"
            archive.addfile(link)
    return buffer.getvalue()


def _entry(path: str, kind: bytes, mode: int, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.size = kind, mode, size
    return entry
