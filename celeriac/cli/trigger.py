"""`celeriac trigger`: start a run by the routes of CWL-Airflow; what is asked for is signed, as its clients do."""

from __future__ import annotations

import argparse
import json
import secrets
import time
import urllib.parse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from celeriac.errors import CeleriacError, UnavailableError, UsageError

EPILOG = """examples:
  celeriac trigger -d align -c '{"job": {"reads": {"class": "File", "location": "/data/reads.fq"}}}'
  celeriac trigger --url https://host --key private.pem -d align -r monday -c @conf.json
  celeriac trigger -d clean_dag_run -c '{"remove_dag_id": "align", "remove_run_id": "monday"}'

Standard output is the run's id and nothing else.
"""
#: Seconds that the server has to answer: it loads the document before.
TIMEOUT = 300
#: Seconds that a signature is good for: till the order is taken, with clocks that differ.
LIFETIME = 600


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--dag-id", "-d", metavar="NAME", required=True, help="the workflow's name")
    parser.add_argument("--run-id", "-r", metavar="NAME", help="the run's name (default: made of the time)")
    parser.add_argument("--conf", "-c", metavar="JSON", default="{}", help='{"job": {...}}, or @FILE')
    parser.add_argument(
        "--url", default="http://127.0.0.1:8080", help="where `celeriac api` listens (default: %(default)s)"
    )
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--key", metavar="FILE", help="sign with the private key, or the secret, in this file")
    who.add_argument("--token", metavar="FILE", help="send the API key, or the token, in this file")
    parser.add_argument("--algorithm", default="RS256", help="how to sign (default: RS256)")


def main(args: argparse.Namespace, runtime: Any) -> int:
    """Run the command."""
    conf = _read(args.conf[1:], "--conf") if args.conf.startswith("@") else args.conf
    try:
        json.loads(conf)
    except ValueError as error:
        raise UsageError(f"--conf is no JSON: {error}") from error
    body = {"run_id": args.run_id or f"manual__{datetime.now(UTC).isoformat()}", "conf": conf}
    headers = {}
    if args.token:
        headers["Authorization"] = f"Bearer {_read(args.token, '--token').strip()}"
    if args.key:
        body["token"] = _signed(body, args.dag_id, _read(args.key, "--key"), args.algorithm)
    print(_post(args.url, args.dag_id, body, headers), flush=True)
    return 0


def _read(path: str, option: str) -> str:
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option} names {path}, which can't be read: {error}") from error


def _signed(body: dict[str, str], workflow: str, key: str, algorithm: str) -> str:
    """Return a token that is good for this order alone: once, for a while, and for no other workflow."""
    import jwt

    now = int(time.time())
    own = {"dag_id": workflow, "iat": now, "exp": now + LIFETIME, "jti": secrets.token_hex(16)}
    try:
        return jwt.encode({**body, **own}, key if "-----BEGIN" in key else key.strip(), algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, NotImplementedError) as error:
        raise UsageError(f"--key can't sign by {algorithm}: {error}") from error


def _post(url: str, workflow: str, body: dict[str, str], headers: dict[str, str]) -> str:
    """Return the name of the run that was started."""
    import requests

    address = f"{url.rstrip('/')}/api/experimental/dags/{urllib.parse.quote(workflow, safe='')}/dag_runs"
    try:
        answer = requests.post(address, json=body, headers=headers, timeout=TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        raise UnavailableError(
            f"{url} does not answer: {type(error).__name__}", hint="--url names the server"
        ) from error
    try:
        found = answer.json()
    except ValueError:
        found = {}
    if answer.status_code != 200:
        said = found.get("msg") or found.get("error") or f"HTTP {answer.status_code}"
        raise CeleriacError(f"{url} refused it ({answer.status_code}): {said}")
    return str(found.get("run_id", body["run_id"]))
