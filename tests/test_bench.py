"""The benchmarks run and say what they measured; their figures are nobody's test."""

from __future__ import annotations

import subprocess
import sys

import pytest

from robustness.bench.packs import TRIALS, plan_tasks
from robustness.bench.plain import WAYS, WORKLOADS, study
from robustness.spec import expand, parse


@pytest.mark.parametrize("workload", WORKLOADS)
def test_packs_train_as_many_trials_as_they_are_counted_for(workload: str) -> None:
    assert TRIALS[workload].keys() == WAYS.keys()
    count = TRIALS[workload]["packs"]
    assert expand(parse(study(workload, count))).trial_count == count


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.parametrize("way", ["two loops", "packs"])
def test_a_way_prints_its_seconds(way: str) -> None:
    command = [sys.executable, "-m", "robustness.bench.plain", way, "mlp digits", "16"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert 0 < float(done.stdout.splitlines()[-1]) < 300


def test_the_rows_of_the_plan_are_valid_tasks() -> None:
    for task in plan_tasks().values():
        spec = {"name": "plan", "tasks": [task], "optimizers": [{"name": "sgd"}], "search": {"lr": 0.1}}
        assert expand(parse(spec)).trial_count == 5
