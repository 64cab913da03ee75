"""A job from outside: its files are the attachments, or what is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from celeriac.api import params
from celeriac.errors import InputError

HOME = Path("/runs/1/uploads")
NAMES = ("in.txt", "data/a.txt", "data/deep/b.txt", "other/a.txt", "with space.txt")


class Refused(InputError):
    pass


def no(place: str) -> None:
    raise Refused(place)


def resolve(value: Any, names: Sequence[str] = NAMES, allowed: params.Allowed = no) -> Any:
    return params.resolve({"x": value}, names, HOME, allowed)["x"]


def file(location: Any, **others: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **others}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("in.txt", "in.txt"),
        ("./in.txt", "in.txt"),
        ("data/a.txt", "data/a.txt"),
        ("data/deep/b.txt", "data/deep/b.txt"),
        ("with%20space.txt", "with%20space.txt"),
        ("with space.txt", "with%20space.txt"),
        ("file:///client/home/in.txt", "in.txt"),
        ("file:///client/data/a.txt", "data/a.txt"),
        ("file:///client/with%20space.txt", "with%20space.txt"),
        ("/client/other/a.txt", "other/a.txt"),
        ("/b.txt", "data/deep/b.txt"),
    ],
)
def test_files_are_among_the_attachments(given: str, expected: str) -> None:
    assert resolve(file(given)) == file(f"file:///runs/1/uploads/{expected}")
    assert resolve({"class": "File", "path": given}) == file(f"file:///runs/1/uploads/{expected}")


@pytest.mark.parametrize("given", ["data", "data/", "file:///client/data", "/x/data/deep/../deep"])
def test_directories_too(given: str) -> None:
    found = resolve({"class": "Directory", "location": given})
    assert found["location"].startswith("file:///runs/1/uploads/data")


@pytest.mark.parametrize(
    "location",
    [
        "nothing.txt", "../in.txt", "data/../in.txt", "data", "", 7, "a\0b", ["in.txt"], "file://elsewhere/in.txt",
        "/client/a.txt", "in.txt#x", "in.txt?x", "%2e%2e/in.txt",
        "http://[x", "file://[x/in.txt", "//]/in.txt",
    ],
)  # fmt: skip
def test_others_are_wrong(location: Any) -> None:
    with pytest.raises(InputError):
        resolve(file(location))


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "file:///etc/passwd", "file:/etc/passwd", "http://h/x", "s3://b/k"]
)
def test_what_is_no_attachment_is_asked_for(location: str) -> None:
    with pytest.raises(Refused):
        resolve(file(location))
    assert resolve(file(location), allowed=lambda place: None)["location"].endswith(location[-4:])


def test_literals_stay() -> None:
    literal = {"class": "File", "contents": "x", "basename": "x"}
    assert resolve(literal) == literal
    assert resolve(file("_:abc", contents="x")) == file("_:abc", contents="x")


def test_files_are_found_wherever_they_are() -> None:
    found = resolve([{"deep": [file("in.txt", secondaryFiles=[file("data/a.txt")])]}])
    inner = found[0]["deep"][0]
    assert inner["location"].endswith("/in.txt") and inner["secondaryFiles"][0]["location"].endswith("/data/a.txt")
    with pytest.raises(InputError):
        resolve([{"deep": [file("in.txt", secondaryFiles=[file("/etc/passwd")])]}])


@pytest.mark.parametrize(
    "key", ["$import", "$include", "$mixin", "$graph", "cwl:tool", "https://w3id.org/cwl/cwl#tool"]
)
def test_nothing_is_read_while_the_job_is_read(key: str) -> None:
    with pytest.raises(InputError, match="is not taken from outside"):
        resolve([{"a": {key: "/etc/passwd"}}])
    with pytest.raises(InputError):
        params.resolve({key: "/etc/passwd"}, (), HOME, no)


@given(st.text(alphabet=st.sampled_from("ab./%2eE:file []"), max_size=20))
def test_a_location_is_an_attachment_or_allowed(text: str) -> None:
    asked = []
    try:
        found = resolve(file(text), ["a", "b/a"], asked.append)
    except InputError:
        return
    if not asked and not text.startswith("_:"):
        assert found["location"] in ("file:///runs/1/uploads/a", "file:///runs/1/uploads/b/a")


def test_secrets_are_not_shown() -> None:
    assert params.masked({"a": 1, "b": {"c": 2}}, {"b"}) == {"a": 1, "b": "(secret)"}
