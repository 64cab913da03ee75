#!/bin/sh
# Install the peers that the benchmarks compare with, each in a venv of its own.
#
#   benchmarks/peers.sh [--missing] [DIR]        DIR is .venv-peers in the checkout unless given
#
# With --missing, peers that benchmarks/runners.py would find are left as they are.
#
# Each pins libraries that we and the other use too (cwltool, cwl-utils) on its own terms: in one venv
# the resolver would go back to old releases, and the comparison would be with those.
# STREAMFLOW and TOIL hold the requirements, to measure another version. For StreamFlow the newest is
# a release candidate of a line that starts faster than the last final one: we measure the faster.
set -eu

missing=
if [ "${1:-}" = --missing ]; then missing=yes; shift; fi
root=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:-$root/.venv-peers}
venvs=${BENCH_PEERS_VENV:-$dir}

there() {  # NAME PROGRAM: is it where runners.py looks?
    test -x "$venvs/$1/bin/$2" || test -x "$venvs/bin/$2" || test -x "$dir/$1/bin/$2" || command -v "$2" >/dev/null
}

install() {  # NAME PROGRAM REQUIREMENT
    if [ -n "$missing" ] && there "$1" "$2"; then return; fi
    echo "Installing $3 into $dir/$1 ..."
    test -x "$dir/$1/bin/python" || "${PYTHON:-python3}" -m venv "$dir/$1" || return 1
    "$dir/$1/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$3"
}

failed=
( install streamflow streamflow "${STREAMFLOW:-streamflow>=0.2.0rc1}" ) || failed="$failed streamflow"
( install toil toil-cwl-runner "${TOIL:-toil[cwl]}" ) || failed="$failed toil"
if [ -n "$failed" ]; then
    echo "Not installed:$failed. See what pip said above; without a network, PIP_FIND_LINKS names a folder of wheels." >&2
    exit 1
fi
