"""Who asks: a table of tokens with what each gets, and keys that don't go with their algorithms."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from celeriac.api import auth
from celeriac.api.auth import SCOPES, Caller, TokenRules
from celeriac.api.errors import HttpError
from celeriac.errors import SettingsError

SECRET = "0123456789abcdef0123456789abcdef"


@cache
def pair(kind: str = "rsa") -> tuple[str, str]:
    """Return a private and a public key in PEM."""
    key: Any = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if kind.startswith("rsa")
        else ec.generate_private_key(ec.SECP256R1())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def rules(**others: Any) -> TokenRules:
    return replace(TokenRules(pair()[1].strip(), ("RS256",)), **others)


def signed(key: str | None = None, algorithm: str = "RS256", **claims: Any) -> str:
    return jwt.encode({"sub": "alice", **claims}, key or pair()[0], algorithm)


def by_hand(header: dict[str, Any], claims: dict[str, Any], key: bytes | None) -> str:
    """Return a token as no library would make it."""

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    body = part(header) + b"." + part(claims)
    mac = hmac.new(key, body, hashlib.sha256).digest() if key is not None else b""
    return (body + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


def now(seconds: float) -> int:
    return int(time.time() + seconds)


WRONG: dict[str, tuple[Callable[[], str], TokenRules | None]] = {
    "signed by another key": (lambda: signed(pair("rsa of somebody else")[0]), None),
    "expired": (lambda: signed(exp=now(-60)), None),
    "not yet": (lambda: signed(nbf=now(60)), None),
    "made in the future": (lambda: signed(iat=now(60)), None),
    "none": (lambda: jwt.encode({"sub": "alice"}, None, "none"), None),
    "None": (lambda: by_hand({"alg": "None", "typ": "JWT"}, {"sub": "alice"}, None), None),
    "no algorithm": (lambda: by_hand({"typ": "JWT"}, {"sub": "alice"}, None), None),
    "HS256 with the public key": (
        lambda: by_hand({"alg": "HS256", "typ": "JWT"}, {"sub": "alice"}, pair()[1].strip().encode()), None
    ),
    "HS256 with the public key's file": (
        lambda: by_hand({"alg": "HS256", "typ": "JWT"}, {"sub": "alice"}, pair()[1].encode()), None
    ),
    "HS256 with nothing": (lambda: by_hand({"alg": "HS256", "typ": "JWT"}, {"sub": "alice"}, b""), None),
    "another algorithm of the same key": (lambda: signed(algorithm="RS512"), None),
    "a key of its own in the header": (
        lambda: jwt.encode({"sub": "alice"}, pair("rsa of somebody else")[0], "RS256", {"jwk": {"kty": "RSA"}}), None
    ),
    "a key to be fetched": (
        lambda: jwt.encode({"sub": "a"}, pair("rsa of somebody else")[0], "RS256", {"jku": "http://127.0.0.1/"}), None
    ),
    "an extension that must be known": (
        lambda: jwt.encode({"sub": "a"}, pair()[0], "RS256", {"crit": ["x"], "x": 1}), None
    ),
    "another issuer": (lambda: signed(iss="them"), rules(issuer="us")),
    "no issuer": (lambda: signed(), rules(issuer="us")),
    "another audience": (lambda: signed(aud="them"), rules(audience="us")),
    "no audience": (lambda: signed(), rules(audience="us")),
    "an audience where none is set": (lambda: signed(aud="them"), None),
    "an end that is no number": (lambda: signed(exp="soon"), None),
    "an end without end": (lambda: by_hand({"alg": "RS256"}, {"exp": 1e999}, None), None),
    "a name that is no text": (
        lambda: jwt.PyJWS().encode(json.dumps({"sub": 7}).encode(), pair()[0], "RS256"), None
    ),
    "claims that are a list": (lambda: jwt.PyJWS().encode(b"[1]", pair()[0], "RS256"), None),
    "claims that are no JSON": (lambda: jwt.PyJWS().encode(b"\xff", pair()[0], "RS256"), None),
    "its claims changed": (
        lambda: ".".join((lambda p: (p[0], signed(sub="root").split(".")[1], p[2]))(signed().split("."))), None
    ),
    "its signature left out": (lambda: signed().rpartition(".")[0] + ".", None),
    "two parts": (lambda: "a.b", None),
    "nothing": (lambda: "", None),
    "too long": (lambda: signed(more="x" * auth.LONGEST), None),
    "deep": (lambda: base64.urlsafe_b64encode(b"[" * 12_000).decode() + ".e30.x", None),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_token_is_refused(name: str) -> None:
    make, rule = WRONG[name]
    with pytest.raises(HttpError) as caught:
        auth.claims(make(), rule or rules())
    assert caught.value.status == 403
    assert "alice" not in caught.value.message


@pytest.mark.parametrize(
    ("token", "rule"),
    [
        (lambda: signed(), rules()),
        (lambda: signed(exp=now(60), nbf=now(-60), iat=now(-60), jti="1"), rules()),
        (lambda: signed(exp=now(-3)), rules()),  # clocks differ
        (lambda: signed(iss="us", aud=["them", "us"]), rules(issuer="us", audience="us")),
        (lambda: signed(SECRET, "HS256"), TokenRules(SECRET, ("HS256",))),
        (lambda: signed(pair("ec")[0], "ES256"), TokenRules(pair("ec")[1], ("ES256",))),
        (lambda: signed(algorithm="PS256"), rules(algorithms=("RS256", "PS256"))),
    ],
    ids=["plain", "all claims", "leeway", "issuer and audience", "secret", "ecdsa", "one of several"],
)
def test_a_right_token_tells_who_asks(token: Callable[[], str], rule: TokenRules) -> None:
    assert auth.caller(auth.claims(token(), rule)).name == "alice"


@given(st.text(max_size=300))
def test_no_text_is_a_token_or_an_accident(text: str) -> None:
    with pytest.raises(HttpError):
        auth.claims(text, rules())


@given(st.binary(max_size=60))
def test_no_bytes_behind_a_header_are_a_token(body: bytes) -> None:
    middle = base64.urlsafe_b64encode(body).decode().rstrip("=")
    for algorithm in ("none", "HS256", "RS256"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
        with pytest.raises(HttpError):
            auth.claims(f"{header}.{middle}.", rules())


@pytest.mark.parametrize("name", [None, "", 7, "x" * 256, "a\nb", ["alice"], auth.UNNAMED])
def test_a_token_names_somebody(name: Any) -> None:
    with pytest.raises(HttpError, match="'sub'"):
        auth.caller({"sub": name})


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (None, set()),
        ("read", {"read"}),
        ("read submit openid", {"read", "submit"}),
        (["cancel", 3, "admin"], {"cancel", "admin"}),
        ({"read": True}, set()),
        ("READ", set()),
    ],
)
def test_scopes_are_ours_alone(claim: Any, expected: set[str]) -> None:
    assert auth.caller({"sub": "a", "scope": claim}).scopes == expected


def test_an_admin_may_do_all_and_sees_all() -> None:
    admin, reader = Caller("root", frozenset({"admin"})), Caller("alice", frozenset({"read"}))
    assert all(admin.may(scope) for scope in SCOPES) and admin.sees is None
    assert [scope for scope in SCOPES if reader.may(scope)] == ["read"] and reader.sees == "alice"
    assert auth.ANYBODY.sees is None


# --- the header -----------------------------------------------------------------------------------


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        (basic("anybody:abc"), "abc"),
        (basic("anybody:a:b:c"), "a:b:c"),
        (basic(":abc"), "abc"),
        (basic("abc:"), "abc"),
        (basic("abc"), "abc"),
    ],
)
def test_a_token_comes_in_two_ways(header: str | None, token: str | None) -> None:
    assert auth.credentials(header) == token


@pytest.mark.parametrize("header", ["abc", "Bearer", "Bearer ", "Basic", "Basic ***", "Basic =", basic(""), "Digest x"])
def test_other_headers_are_refused(header: str) -> None:
    with pytest.raises(HttpError) as caught:
        auth.credentials(header)
    assert caught.value.status == 403


@given(st.text(max_size=100))
def test_no_header_is_an_accident(text: str) -> None:
    for header in (text, f"Basic {text}", f"Bearer {text}"):
        try:
            assert auth.credentials(header) != ""
        except HttpError as error:
            assert error.status == 403


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "algorithms", "said"),
    [
        (lambda: pair()[1], "HS256", "is a public key in PEM, which does not go with HS256"),
        (lambda: pair()[1], "RS256, HS512", "does not go with HS512"),
        (lambda: SECRET, "RS256", "is a secret, which does not go with RS256"),
        (lambda: pair()[0], "RS256", "is a private key"),
        (lambda: "short", "HS256", "a secret of 5 bytes: 32 or more"),
        (lambda: pair()[1], "none", "ALGORITHMS is none"),
        (lambda: pair()[1], "", "ALGORITHMS is empty"),
        (lambda: "/nowhere/key.pem", "RS256", "names the file /nowhere/key.pem, which can't be read"),
        (lambda: "key.pem", "RS256", "names the file key.pem"),
    ],
)
def test_a_key_goes_with_its_algorithms(key: Callable[[], str], algorithms: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        auth.rules(key(), algorithms)


def test_a_key_may_be_in_a_file(tmp_path: Path) -> None:
    for text, algorithm in ((pair()[1], "RS256"), (SECRET + "\n", "HS256")):
        (tmp_path / "key").write_text(text)
        assert auth.rules(str(tmp_path / "key"), algorithm) == TokenRules(text.strip(), (algorithm,))
    assert auth.rules("", "RS256") is None


def test_api_keys_are_random_and_kept_by_their_digest() -> None:
    one, other = auth.new_key(), auth.new_key()
    assert one != other and auth.is_key(one) and len(one) > 50
    assert one not in auth.digest(one) and len(auth.digest(one)) == 64
    assert not auth.is_key(signed())


# --- claims that are the body ---------------------------------------------------------------------


BODY = {"run_id": "one", "conf": '{"job": {}}'}


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (BODY, True),
        ({**BODY, "exp": 1, "iat": 1, "jti": "x", "sub": "alice", "iss": "us", "scope": "submit"}, True),
        ({**BODY, "run_id": "two"}, False),
        ({**BODY, "conf": '{"job": {"x": 1}}'}, False),
        ({"run_id": "one"}, False),
        ({**BODY, "dag_id": "align"}, True),
        ({**BODY, "dag_id": "x"}, False),
        ({**BODY, "dag_id": None}, False),
        ({**BODY, "more": 1}, False),
        ({}, False),
    ],
)
def test_claims_are_the_body(claims: dict[str, Any], expected: bool) -> None:
    assert auth.tells(claims, BODY, "align") is expected


@given(st.dictionaries(st.sampled_from([*BODY, "dag_id", "exp", "sub", "more"]), st.sampled_from(["align", "b", None])))
def test_what_is_said_is_claimed_all_of_it(said: dict[str, Any]) -> None:
    elsewhere = said.get("dag_id", "align") != "align"
    assert auth.tells(said, said, "align") is not elsewhere
    for name in said:
        rest = {key: value for key, value in said.items() if key != name}
        assert not auth.tells(rest, said, "align")
        assert not auth.tells({**said, name: "forged"}, said, "align")


def test_a_body_that_is_nested_too_deeply_is_not_told() -> None:
    deep: Any = 1
    for _ in range(200_000):
        deep = [deep]
    assert not auth.tells({"conf": deep}, {"conf": deep}, "align")


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (BODY, True),
        ({"sub": "alice", "scope": "submit", "run_id": "one"}, True),
        ({"conf": None}, True),
        ({"workflow_content": "", "workflow_data": {}}, True),
        ({"sub": "alice", "scope": "submit", "jti": "1", "dag_id": "align"}, False),
    ],
)
def test_an_order_is_told_from_a_token_to_get_in_with(claims: dict[str, Any], expected: bool) -> None:
    assert auth.is_order(claims) is expected
