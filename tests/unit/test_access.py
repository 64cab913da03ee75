"""The rules of what runs from outside may reach: paths, hosts, images."""

from __future__ import annotations

import os
import posixpath
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.access import Access, is_within, path_of
from celeriac.document.remote import Remote
from celeriac.errors import AccessError, CeleriacError
from celeriac.job.fence import Fence
from celeriac.settings import Settings

PARTS = st.lists(st.sampled_from(["..", ".", "", "data", "x", "data2", "a b", "ü", "%2e%2e"]), max_size=8)


def test_it_goes_through_json() -> None:
    access = Access(("/a",), ("h",), True, ("i",), True, True, 5, 6, ("/b",), ("/c",))
    assert Access.from_json(access.to_json()) == access
    assert Access.from_json({"roots": ["/a"], "of a later version": 1}) == Access(("/a",))


def test_it_is_made_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    settings = Settings(api_roots=f"/srv/a/../b:{tmp_path}/link", api_hosts="Data.org, *.x.org", api_images="debian")
    access = Access.of(settings, [tmp_path / "more"])
    outputs = ("/srv/b", f"{tmp_path}/link", f"{tmp_path}/real")
    roots = (*outputs, f"{tmp_path}/more")
    expected = Access(roots, ("data.org", "*.x.org"), images=("debian",), outputs=outputs)
    assert access == replace(expected, hidden=tuple(dict.fromkeys([str(settings.home), str(settings.home.resolve())])))


def test_without_settings_nothing_is_allowed() -> None:
    access = Access.of(Settings())
    assert replace(access, hidden=()) == Access()
    fence = Fence(access, ())
    for refused in (lambda: fence.path("/"), lambda: access.check_host("http://x.org/")):
        with pytest.raises(AccessError):
            refused()
    for check in (access.check_process, access.check_network):
        with pytest.raises(AccessError, match="'step'"):
            check("step")


@given(PARTS)
def test_what_is_within_is_within_when_it_is_made_plain(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    if is_within(path, ("/data",)):
        plain = posixpath.normpath(path)
        assert plain.lstrip("/").split("/")[0] == "data"


@given(PARTS)
def test_a_plain_path_below_is_within(parts: list[str]) -> None:
    below = [part for part in parts if part not in ("..",)]
    assert is_within("/" + "/".join(["data", *below]), ("/data",))
    assert not is_within("/" + "/".join(["data2", *below]), ("/data",))


@given(PARTS)
def test_a_file_url_and_its_path_mean_the_same(parts: list[str]) -> None:
    path = "/" + "/".join(parts)
    assert path_of("file://" + quote(path)) == path_of(path) == path


@given(st.text(max_size=40))
def test_a_location_is_read_in_one_way_or_refused(text: str) -> None:
    from cwltool.stdfsaccess import abspath

    try:
        found = path_of(text, "/base")
    except CeleriacError:
        return
    if found is not None:
        assert os.path.normpath(found) == os.path.normpath(abspath(text, "/base"))


@given(st.sampled_from(["x", "d/x", "link/x", "link", "d/../x", "d/up/x", "up", "gone/../x", "d/up/../../private"]))
def test_links_are_followed_before_anything_is_believed(tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    root = tmp_path_factory.mktemp("fence")
    (root / "data" / "d").mkdir(parents=True)
    (root / "private").mkdir()
    (root / "data" / "link").symlink_to(root / "private")
    (root / "data" / "up").symlink_to("..")
    (root / "data" / "d" / "up").symlink_to("..")
    fence = Fence(Access((str(root / "data"),)), ())
    try:
        real = fence.path(f"{root}/data/{path}")
    except AccessError as error:
        assert "private" not in str(error) or "private" in path
        assert not os.path.realpath(f"{root}/data/{path}").startswith(f"{root}/data/") or ".." in path
    else:
        assert real == os.path.realpath(f"{root}/data/{path}")
        assert real.startswith(f"{root}/data/") or real == f"{root}/data"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/srv/data/x", True),
        ("/srv/home2/x", True),
        ("/srv", False),  # as a directory, it would have the home in it
        ("/srv/home", False),
        ("/srv/home/journal.db", False),
        ("/srv/home/secrets/r1.json", False),
        ("/srv/data/../home/journal.db", False),
        ("/srv/home/runs/r2/x", False),
        ("/srv/home/runs/r1/x", True),
        ("/srv/home/runs/r1/uploads/x", True),
    ],
)
def test_a_root_around_the_home_does_not_mean_the_home(path: str, allowed: bool) -> None:
    fence = Fence(Access(("/srv", "/srv/home/runs/r1/uploads"), hidden=("/srv/home",)), ("/srv/home/runs/r1",))
    if allowed:
        assert fence.path(path) == path
        return
    with pytest.raises(AccessError):
        fence.path(path)


@pytest.mark.parametrize(
    ("url", "name"),
    [("/a%20b.txt", "a b.txt"), ("/x/", "index"), ("", "index"), ("/%2e%2e", "index"), ("/a%2f..%2fb%00c%0a", "bc")],
)
def test_a_download_has_a_plain_name(url: str, name: str) -> None:
    from celeriac.job.fence import _name

    assert _name(f"http://data.org{url}") == name


# --- hosts ---------------------------------------------------------------------------------------

URLS = [
    # pattern, URL, whether it is allowed
    ("data.org", "https://data.org/x", True),
    ("data.org", "https://DATA.org/x", True),
    ("data.org", "https://data.org./x", True),
    ("data.org", "https://data.org:443/x", True),
    ("data.org", "https://data.org:8080/x", False),
    ("data.org:8080", "http://data.org:8080/x", True),
    ("data.org:*", "http://data.org:9/x", True),
    ("data.org", "https://sub.data.org/x", False),
    ("*.data.org", "https://sub.data.org/x", True),
    ("*.data.org", "https://data.org/x", False),
    ("*.data.org", "https://evil-data.org/x", False),
    ("data.org", "https://data.org.evil.org/x", False),
    ("data.org", "https://evil.org/data.org", False),
    ("data.org", "https://data.org@evil.org/x", False),
    ("data.org", "https://user:pw@data.org/x", False),
    ("data.org", "https://evil.org#@data.org/", False),
    ("data.org", "https://evil.org\\@data.org/", False),
    ("data.org", "https://data.org\\.evil.org/", False),
    ("data.org", "https:///data.org/x", False),
    ("data.org", "https:data.org/x", False),
    ("data.org", "ftp://data.org/x", False),
    ("data.org", "gopher://data.org/x", False),
    ("data.org", "https://data.org:0/", False),
    ("data.org", "https://data.org:99999/", False),
    ("data.org", "https://data.org/ x", False),
    ("data.org", "https://data.org/\r\nHost: evil.org", False),
    ("*", "http://localhost/", True),  # as a name; its address is looked at
    ("*", "http://127.0.0.1/", True),
    ("*", "http://2130706433/", False),
    ("*", "http://0x7f000001/", False),
    ("*", "http://0x7f.0.0.1/", False),
    ("*", "http://0177.0.0.1/", False),
    ("*", "http://127.1/", False),
    ("*", "http://127.0.0.01/", False),
    ("*", "http://１２７.0.0.1/", False),
    ("*", "http://ⓛocalhost/", False),
    ("*", "http://loc%61lhost/", False),
    ("*", "http://[::1]/", True),
    ("*", "http://[::1%25eth0]/", False),
    ("*", "http://[v1.x]/", False),
    ("*", "http://", False),
]


@pytest.mark.parametrize(("pattern", "url", "allowed"), URLS)
def test_hosts(pattern: str, url: str, allowed: bool) -> None:
    access = Access(hosts=(pattern,))
    if allowed:
        access.check_host(url)
        return
    with pytest.raises(AccessError):
        access.check_host(url)


PRIVATE = """127.0.0.1 127.9.9.9 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 100.100.100.200
    168.63.129.16 192.0.0.192 192.0.2.1 198.18.0.1 224.0.0.1 240.0.0.1 255.255.255.255 ::1 :: fe80::1 fe80::1%eth0
    fc00::1 fd00:ec2::254 fec0::1 ff02::1 2001:db8::1 ::ffff:127.0.0.1 ::ffff:a9fe:a9fe ::127.0.0.1 64:ff9b::7f00:1
    2002:7f00:1:: 2001:0:0:0:0:0:80ff:fffe""".split()


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_of_the_internet(address: str) -> None:
    remote = Remote(Access(hosts=("*",)), lambda host: [address])
    with pytest.raises(AccessError, match="private network"):
        remote.address("good.org", "http://good.org/")
    with pytest.raises(AccessError, match="private network"):  # one good address of two is not enough
        Remote(Access(hosts=("*",)), lambda host: ["8.8.8.8", address]).address("good.org", "http://good.org/")
    assert Remote(Access(hosts=("*",), private=True), lambda host: [address]).address("good.org", "http://good.org/")


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet(address: str) -> None:
    assert Remote(Access(hosts=("*",)), lambda host: [address]).address("good.org", "http://good.org/")


@given(st.ip_addresses(v=4))
def test_an_address_within_another_is_as_public_as_itself(address: object) -> None:
    def public(text: str) -> bool:
        try:
            Remote(Access(hosts=("*",)), lambda host: [text]).address("h", "http://h/")
        except AccessError:
            return False
        return True

    assert public(str(address)) == public(f"::ffff:{address}") == public(f"64:ff9b::{address}")


# --- images --------------------------------------------------------------------------------------

DIGEST = "sha256:" + "0" * 64
IMAGES = [
    # pattern, image, whether it is allowed
    ("debian", "debian", True),
    ("debian", "debian:12", True),
    ("debian", f"debian@{DIGEST}", True),
    ("debian", "library/debian:12", True),
    ("library/debian", "debian", True),
    ("debian", "registry.example/library/debian:12", False),
    ("registry.example/library/debian", "debian", False),
    ("registry.example/library/debian", "registry.example/library/debian", True),
    ("debian:12", "debian:12", True),
    ("debian:12", "debian", False),
    ("debian:latest", "debian", True),
    ("debian:1*", "debian:12", True),
    ("debian:12", f"debian:12@{DIGEST}", False),
    (f"debian@{DIGEST}", f"debian@{DIGEST}", True),
    (f"debian@{DIGEST}", f"debian:12@{DIGEST}", True),
    (f"debian@{DIGEST}", "debian@sha256:" + "1" * 64, False),
    (f"debian@{DIGEST}", "debian:12", False),
    ("debian@sha256:*", f"debian@{DIGEST}", True),
    ("debian@sha256:*", "debian", False),
    ("debian", "debian2", False),
    ("debian", "evil/debian", False),
    ("debian", "registry.example/debian", False),
    ("debian", "library.evil.org/library/debian", False),
    ("debian", "library:5000/library/debian", False),
    ("debian", "localhost/debian", False),
    ("debian", DIGEST, False),
    ("debian", "0" * 64, False),
    ("debian", "Debian", False),
    ("debian", "debian:12 --privileged", False),
    ("debian", "debian:12\nx", False),
    ("debian", "debian/../evil", False),
    ("debian", "-debian", False),
    ("debian", "", False),
    ("registry.example/bio/*", "registry.example/bio/samtools:1.3", True),
    ("registry.example/bio/*", "registry.example/biology/x", False),
    ("registry.example/bio/*", "registry.example.evil.org/bio/x", False),
    ("bio/*", "bio/samtools", True),
    ("bio/*", "registry.example/bio/samtools", False),
    ("*/samtools", "registry.example/samtools", False),
    ("localhost:5000/*", "localhost:5000/x/y:z", True),
    ("*", "anything.org/at/all:1", True),
    ("*", "an image", False),
]


@pytest.mark.parametrize(("pattern", "image", "allowed"), IMAGES)
def test_images(pattern: str, image: str, allowed: bool) -> None:
    access = Access(images=(pattern,))
    if allowed:
        access.check_image(image, "step")
        return
    with pytest.raises(AccessError, match="'step' asks for the image"):
        access.check_image(image, "step")
