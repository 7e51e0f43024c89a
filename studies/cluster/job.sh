#!/usr/bin/env bash
# A study as a job of a Ray cluster that is running:   job.sh STUDY.toml [options of `robustness run`]
#
#   RAY_API_SERVER_ADDRESS  the head's job server, http://127.0.0.1:8265 after `ssh -N -L 8265:127.0.0.1:8265 HEAD`
#   RAY_AUTH_TOKEN          the cluster's token, unless it is in ~/.ray/auth_token (mode 600)
#   ROBUSTNESS_PYTHON       the Python that the cluster runs, by its whole path: a job looks `python` and
#                           `robustness` up outside the virtual environment, and finds another or none
#   ROBUSTNESS_STORE        postgresql://USER@HOST/DATABASE as seen from the head. No password: whoever has the
#                           token can list what a job was given. ~/.pgpass on the head holds it.
#
# Data sets are in a folder on the head (--data; imagenet on every node). Closing this terminal leaves the job running; `ray job
# logs ID` shows it, `ray job stop ID` ends it, and the same command goes on from what the store has.
set -euo pipefail

study=${1:?usage: job.sh STUDY.toml [options of robustness run]}
shift
: "${RAY_API_SERVER_ADDRESS:=http://127.0.0.1:8265}"
: "${ROBUSTNESS_PYTHON:?the absolute path of the python of the head\'s virtual environment}"
: "${ROBUSTNESS_STORE:?postgresql://USER@HOST/DATABASE}"
export RAY_AUTH_MODE=token

if [[ $ROBUSTNESS_PYTHON != /* ]]; then
  echo "ROBUSTNESS_PYTHON must be an absolute path, got $ROBUSTNESS_PYTHON" >&2
  exit 2
fi
if [[ $ROBUSTNESS_STORE != postgresql://* || $ROBUSTNESS_STORE == *[\"\\]* ]]; then
  echo "ROBUSTNESS_STORE must be postgresql://USER@HOST/DATABASE: no other machine can open an SQLite file" >&2
  exit 2
fi

# A folder with nothing but the study: Ray uploads the working directory whole, .git and data sets included.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
file=study.${study##*.}
cp "$study" "$folder/$file"

ray job submit \
  --address "$RAY_API_SERVER_ADDRESS" \
  --working-dir "$folder" \
  --runtime-env-json "{\"env_vars\": {\"ROBUSTNESS_STORE\": \"$ROBUSTNESS_STORE\"}}" \
  -- "$ROBUSTNESS_PYTHON" -m robustness.cli run "$file" "$@"
