#!/usr/bin/env bash
# Builds the image and the data where they are missing, runs the workflow, checks what it called.
#   RUNNER   the command that runs a workflow   (default: .venv/bin/celeriac run)
#   OUT      where the outputs go               (default: out/genomics)
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

image=celeriac-genomics:1
data=$here/data
runner=${RUNNER:-.venv/bin/celeriac run}
out=${OUT:-out/genomics}

if ! docker image inspect "$image" >/dev/null 2>&1; then
  docker build --network host --tag "$image" "$here" >&2
fi

if [ ! -e "$data/complete" ]; then
  mkdir -p "$data"
  container=$(docker create "$image" true)
  trap 'docker rm "$container" >/dev/null' EXIT
  docker cp "$container:/opt/lambda/." "$data"
  python3 "$here/prepare.py" "$data"
  touch "$data/complete"
fi

rm -rf "$out"
# unquoted on purpose: the runner may come with arguments
$runner --outdir "$out" "$here/workflow.cwl" "$here/job.yml" >/dev/null
python3 "$here/check.py" "$data" "$out"
