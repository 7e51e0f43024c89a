#!/usr/bin/env bash
# A study on nodes of a Slurm cluster:   sbatch slurm.sh STUDY.toml [options of `robustness run`]
# One Ray cluster for this job alone, on all of its nodes; it ends with the study.
#SBATCH --job-name=robustness
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1  # one `ray symmetric-run` a node
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4    # leave out for studies with gpus = 0
#SBATCH --exclusive          # the `ray stop` at its end stops every Ray of yours on the node
#SBATCH --no-kill            # a node that fails costs the packs on it one retry, not the job
#SBATCH --time=12:00:00
#SBATCH --requeue            # a second start, like a second sbatch, goes on from what the store has
#
#   ROBUSTNESS_PYTHON  the virtual environment's Python, on a file system that all nodes see
#   ROBUSTNESS_STORE   postgresql://USER@HOST/DATABASE, its password in ~/.pgpass. SQLite only with --nodes=1, and
#                      never on NFS or Lustre.
set -euo pipefail

study=${1:?usage: sbatch slurm.sh STUDY.toml [options of robustness run]}
shift
: "${ROBUSTNESS_PYTHON:?the absolute path of the python of the virtual environment}"
: "${ROBUSTNESS_STORE:?postgresql://USER@HOST/DATABASE}"
PATH=$(dirname "$ROBUSTNESS_PYTHON"):$PATH # symmetric-run calls `ray`

# This script runs on the first node, which becomes Ray's head. Its address, not its name: many a node's own
# name means 127.0.1.1 to itself. Take the fast network's with a pattern of yours: hostname -I | grep -o '10\.1\.[0-9.]*'
host=$(hostname -I | cut -d ' ' -f 1)
address=$host:$((20000 + SLURM_JOB_ID % 10000)) # two jobs on one node do not meet

# A token of this job's own; srun hands it to all nodes.
RAY_AUTH_TOKEN=$(od -An -N 32 -tx1 /dev/urandom | tr -d ' \n')
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
export RAY_TMPDIR=/tmp/ray-$SLURM_JOB_ID          # /tmp/ray may be another user's; short, as sockets are below it
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300 # 30 s are too few for a Python on a network file system
export RAY_USAGE_STATS_ENABLED=0
trap 'srun rm -rf "$RAY_TMPDIR"' EXIT

# --num-cpus: Ray would count the node's cores, not the job's. --address: without it, the study would start a Ray
# of its own on the first node. GPUs are those of CUDA_VISIBLE_DEVICES, which Slurm sets. When the study has ended,
# the other nodes notice within a minute; that Ray "failed" on them is what they say then.
srun --no-kill ray symmetric-run \
  --address "$address" \
  --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" \
  -- "$ROBUSTNESS_PYTHON" -m robustness.cli run "$study" --address "$address" "$@"
