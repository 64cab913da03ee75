#!/bin/sh
# Install the clients of WES that the tests talk with, each in a venv of its own, and the text of WES 1.1.
#
#   tests/acceptance/clients.sh [--missing] [DIR]        DIR is .venv-clients in the checkout unless given
#
# With --missing, clients that are there are left as they are. Each pins libraries that we use too on its own
# terms (urllib3, click), so they can't be in our venv.
set -eu

missing=
if [ "${1:-}" = --missing ]; then missing=yes; shift; fi
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${1:-$root/.venv-clients}

install() {  # NAME PROGRAM REQUIREMENT...
    name=$1 program=$2
    shift 2
    if [ -n "$missing" ] && test -x "$dir/$name/bin/$program"; then return; fi
    echo "Installing $* into $dir/$name ..."
    test -x "$dir/$name/bin/python" || "${PYTHON:-python3}" -m venv "$dir/$name" || return 1
    "$dir/$name/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$@"
}

text() {  # the specification, which the package sapporo carries; what that needs itself is of no use here
    if [ -n "$missing" ] && test -e "$dir"/wes/sapporo/ga4gh-wes-spec-1.1.0.yml; then return; fi
    echo "Installing the text of WES 1.1 into $dir/wes ..."
    "${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target "$dir/wes" \
        "sapporo==2.4.0"
}

failed=
( install wes-service wes-client "wes-service==5.0" ) || failed="$failed wes-service"
( install dnastack dnastack "dnastack-client-library>=3.1,<3.2" ) || failed="$failed dnastack-client-library"
( text ) || failed="$failed wes"
if [ -n "$failed" ]; then
    echo "Not installed:$failed. See what pip said above; without a network, PIP_FIND_LINKS names a folder of wheels." >&2
    exit 1
fi
