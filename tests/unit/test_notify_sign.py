"""What is posted: the payload, or a token whose claims it is; never unsigned where a key is set."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from celeriac.errors import SettingsError
from celeriac.notify.sign import body
from celeriac.settings import Settings

PAYLOAD = {"state": "running", "dag_id": "w", "run_id": "r", "task_id": "\u00e9", "results": {"x": [1, None, 2.5]}}
RSA = rsa.generate_private_key(65537, 2048)


def private(key: Any, encryption: Any = None) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))


def public(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def claims(text: bytes, key: Any, algorithm: str) -> Any:
    return jwt.decode(json.loads(text)["payload"], key, [algorithm])


def test_without_a_key_it_is_the_payload() -> None:
    assert json.loads(body(Settings(), PAYLOAD)) == {"payload": PAYLOAD}


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        ("RS256", RSA), ("PS512", RSA), ("ES256", ec.generate_private_key(ec.SECP256R1())),
        ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
    ],
)  # fmt: skip
def test_the_claims_are_the_payload(tmp_path: Path, algorithm: str, key: Any) -> None:
    (tmp_path / "key.pem").write_bytes(private(key))
    for given in (str(tmp_path / "key.pem"), private(key).decode()):
        text = body(Settings(notify_key=given, notify_algorithm=algorithm), PAYLOAD)
        assert claims(text, public(key), algorithm) == PAYLOAD


@pytest.mark.parametrize("in_file", [False, True])
def test_a_secret_signs_too(tmp_path: Path, in_file: bool) -> None:
    secret = "s" * 32
    (tmp_path / "secret").write_text(f"{secret}\n")
    given = str(tmp_path / "secret") if in_file else secret
    assert claims(body(Settings(notify_key=given, notify_algorithm="HS256"), PAYLOAD), secret, "HS256") == PAYLOAD


def broken(directory: Path) -> dict[str, tuple[str, str, str]]:
    """Return keys that can't be used: key, algorithm, what is said."""
    (directory / "text").write_text("hello s3cret")
    (directory / "locked.pem").write_bytes(private(RSA, BestAvailableEncryption(b"s3cret")))
    (directory / "public.pem").write_bytes(public(RSA))
    (directory / "rsa.pem").write_bytes(private(RSA))
    (directory / "short.pem").write_bytes(private(rsa.generate_private_key(65537, 1024)))
    here = str(directory)
    return {
        "no file": (f"{here}/none", "RS256", "can't be read: No such file"),
        "a directory": (here, "RS256", "can't be read: Is a directory"),
        "no path": ("\0", "RS256", "can't be read: it is no path"),
        "no key": (f"{here}/text", "RS256", "can't be used to sign with RS256"),
        "a passphrase": (f"{here}/locked.pem", "RS256", "can't be used to sign"),
        "a public key": (f"{here}/public.pem", "RS256", "can't be used to sign"),
        "another kind": (f"{here}/rsa.pem", "ES256", "can't be used to sign"),
        "a short key": (f"{here}/short.pem", "RS256", "can't be used to sign"),
        "a short secret": ("s3cret", "HS256", "can't be used to sign"),
        "a secret's file that is not there": (f"{here}/none", "HS256", "can't be read"),
        "a public key as a secret": (f"{here}/public.pem", "HS256", "can't be used to sign"),
        "none": (f"{here}/rsa.pem", "none", "is 'none', which signs nothing"),
        "no algorithm": (f"{here}/rsa.pem", "RS", "which signs nothing"),
    }


CASES = [
    "no file", "a directory", "no path", "no key", "a passphrase", "a public key", "another kind", "a short key",
    "a short secret", "a secret's file that is not there", "a public key as a secret", "none", "no algorithm",
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_broken_key_never_sends_unsigned(tmp_path: Path, case: str) -> None:
    key, algorithm, said = broken(tmp_path)[case]
    with pytest.raises(SettingsError, match=said) as caught:
        body(Settings(notify_key=key, notify_algorithm=algorithm), PAYLOAD)
    assert "s3cret" not in str(caught.value) and "BEGIN" not in str(caught.value)


def test_the_documentations_example_verifies(tmp_path: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "notifications.md"
    (example, *_) = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    (tmp_path / "key.pem").write_bytes(private(RSA))
    settings = Settings(notify_key=str(tmp_path / "key.pem"))
    key = public(RSA).decode()
    assert names["payload_of"](json.loads(body(settings, PAYLOAD)), key) == PAYLOAD
    forged = jwt.encode(PAYLOAD, "s" * 32, "HS256")
    for wrong in (PAYLOAD, forged, "x.y.z"):
        with pytest.raises(jwt.InvalidTokenError):
            names["payload_of"]({"payload": wrong}, key)
