#!/bin/sh
# Install the peers that the benchmarks compare with, each in a venv of its own.
#
#   benchmarks/peers.sh [DIR]        DIR is .venv-peers in the checkout unless given
#
# Each pins libraries that we and the other use too (cwltool, cwl-utils) on its own terms: in one venv
# the resolver would go back to old releases, and the comparison would be with those.
# STREAMFLOW and TOIL hold the requirements, to measure another version. For StreamFlow the newest is
# a release candidate of a line that starts faster than the last final one: we measure the faster.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
dir=${1:-$root/.venv-peers}

install() {  # NAME REQUIREMENT...
    name=$1
    shift
    test -x "$dir/$name/bin/python" || "${PYTHON:-python3}" -m venv "$dir/$name"
    "$dir/$name/bin/python" -m pip install --quiet --upgrade "$@"
}

install streamflow "${STREAMFLOW:-streamflow>=0.2.0rc1}"
install toil "${TOIL:-toil[cwl]}"

"$dir/streamflow/bin/streamflow" version
HOME="$dir/toil" "$dir/toil/bin/toil-cwl-runner" --version  # it writes its configuration into the home
