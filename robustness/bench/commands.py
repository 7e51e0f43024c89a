"""`robustness bench`: heavy imports stay inside commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from robustness.errors import SpecError, check_known

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["bench"]

bench = typer.Typer(help="Benchmarks: ratios within one interleaved run.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array and nothing else.")]


@bench.command("optimizers")
def bench_optimizers(
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each optimizer.")] = 9,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    memory: Annotated[bool, typer.Option(help="Measure INSGD's peak memory too.")] = True,
    as_json: AsJson = False,
) -> None:
    """Time a whole training step with every optimizer, as a ratio to SGD with momentum."""
    import torch

    from robustness.bench.optimizers import NETS, measure

    torch.set_num_threads(threads)
    with _progress("steps", len(NETS) * (rounds + 1)) as advance:
        costs = list(measure(rounds, memory=memory, on_round=advance))
    if as_json:
        print(json.dumps([asdict(cost) for cost in costs]))
        return
    print(f"{'net':10} {'optimizer':20} {'ratio':>6} {'least':>6} {'most':>6} {'ms':>9} {'memory':>7}")
    for cost in costs:
        peak = "" if cost.memory_ratio is None else f"{cost.memory_ratio:.3f}"
        figures = f"{cost.ratio:6.3f} {cost.low:6.3f} {cost.high:6.3f} {cost.milliseconds:9.2f} {peak:>7}"
        print(f"{cost.net:10} {cost.optimizer:20} {figures}")


@bench.command("packs")
def bench_packs(
    workload: Annotated[
        list[str] | None, typer.Option(help="mlp digits, toy-cnn 8x8, ...; all by default.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of all ways.")] = 3,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials of the packs, instead of 4,096.")] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Measure the planner's table of techniques instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trials a second: plain Ray Tune, lean Ray Tune, two plain loops, and packs with their records stored."""
    if plan:
        _plan(rounds, as_json)
        return
    from robustness.bench.packs import rates
    from robustness.bench.plain import WAYS, WORKLOADS

    for name in workload or ():
        check_known("--workload", name, WORKLOADS)
    if trials is not None and (trials < 16 or trials % 8):
        raise SpecError.of("--trials", f"must be a multiple of 8, >= 16, got {trials}")
    names = workload or list(WORKLOADS)
    with _progress("measurements", len(names) * len(WAYS) * rounds) as advance:
        counts = {} if trials is None else {"packs": trials}
        found = list(rates(names, rounds=rounds, trials=counts, on_run=advance))
    if as_json:
        print(json.dumps([asdict(rate) for rate in found]))
        return
    print(
        f"{'workload':14} {'way':11} {'trials':>6} {'a second':>9} {'least':>8} {'most':>8} {'packs are':>10}"
    )
    for rate in found:
        figures = f"{rate.trials:6,} {rate.per_second:9.2f} {rate.low:8.2f} {rate.high:8.2f}"
        print(f"{rate.workload:14} {rate.way:11} {figures} {rate.packs_ratio:8.1f} x")


@bench.command("coverage")
def bench_coverage(
    samples: Annotated[int, typer.Option(min=1, help="Simulated for each figure of an interval.")] = 2_000,
    studies: Annotated[int, typer.Option(min=2, help="Simulated for each figure of a comparison.")] = 400,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of both.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulation.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Simulate how often 95 % intervals hold the truth, and comparisons tell apart what is alike and what is not."""
    import numpy as np

    from robustness.bench.comparisons import SEEDS as COMPARED_SEEDS
    from robustness.bench.comparisons import UNITS, told_apart
    from robustness.bench.coverage import CROSSED, DATA, RATES, SEEDS, STATISTICS, table

    samples, studies = (max(samples // 10, 1), max(studies // 10, 2)) if quick else (samples, studies)
    cells = len(SEEDS) * (len(DATA) * len(STATISTICS) + len(CROSSED) + len(RATES))
    rng = np.random.default_rng(seed)
    with _progress("simulations", cells + len(COMPARED_SEEDS) * (len(UNITS) + 1)) as advance:
        found = []
        for cell in table(samples, rng):
            found.append(cell)
            advance()
        told = list(told_apart(studies, rng, on_cell=advance))
    if as_json:
        print(
            json.dumps(
                {"intervals": [asdict(cell) for cell in found], "comparisons": [asdict(t) for t in told]}
            )
        )
        return
    print("Intervals: how many hold the truth, in percent, and their mean width.")
    print(f"{'data':26} {'statistic':10}" + "".join(f"{f'n = {n}':>14}" for n in SEEDS))
    for first in range(0, cells, len(SEEDS)):
        row = found[first : first + len(SEEDS)]
        shares = "".join(f"{f'{100 * cell.share:.1f} ({cell.width:.2f})':>14}" for cell in row)
        print(f"{row[0].data:26} {row[0].statistic:10}{shares}")
    print("\nComparisons: told apart, in percent, and intervals that hold the true difference.")
    print(f"{'metric':18} {'unit':>6} {'critical':>8}" + "".join(f"{f'n = {n}':>16}" for n in COMPARED_SEEDS))
    for kind in dict.fromkeys((t.metric, t.unit, t.critical) for t in told):
        cells_of = [t for t in told if (t.metric, t.unit, t.critical) == kind]
        shares = "".join(f"{f'{100 * t.told:.1f} ({100 * t.held:.1f})':>16}" for t in cells_of)
        print(f"{kind[0]:18} {kind[1]:6g} {kind[2]:8g}{shares}")


@bench.command("reading")
def bench_reading(
    trials: Annotated[int, typer.Option(min=5_000, help="Of the store that is made.")] = 100_000,
    rounds: Annotated[int, typer.Option(min=1, help="Of all commands.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Time metrics, tables and a heatmap of a large store, from the start of the program to its end."""
    import tempfile
    from pathlib import Path

    from robustness.bench.reading import COMMANDS, fill, readings

    with tempfile.TemporaryDirectory(prefix="robustness-bench-") as name:
        folder = Path(name)
        made = fill(folder / "large.db", trials)
        with _progress("runs", len(COMMANDS) * rounds) as advance:
            found = list(readings(folder, rounds=rounds, on_run=advance))
    if as_json:
        print(json.dumps([asdict(reading) for reading in found]))
        return
    print(f"{made:,} trials of 10 epochs; the least of {rounds} rounds")
    for reading in found:
        print(f"{reading.command:16} {reading.seconds:6.2f} s {reading.megabytes:6.0f} MB")


@bench.command("service")
def bench_service(
    trials: Annotated[int, typer.Option(min=5_000, help="Of the study that is asked for.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=1, help="Of each measurement.")] = 10.0,
    clients: Annotated[int, typer.Option(min=1, max=64, help="Connections that ask at the same time.")] = 8,
    as_json: AsJson = False,
) -> None:
    """How soon a large study opens, then requests a second on its summary: alone, and beside a sweep."""
    import tempfile
    from pathlib import Path

    from robustness.bench.service import KINDS, Load, Opening, measured

    folder = tempfile.TemporaryDirectory(prefix="robustness-bench-")
    with folder as name, _progress("measurements", 2 + 2 * len(KINDS)) as advance:
        found = list(
            measured(Path(name), trials=trials, seconds=seconds, clients=clients, on_measured=advance)
        )
    openings = [row for row in found if isinstance(row, Opening)]
    loads = [row for row in found if isinstance(row, Load)]
    if as_json:
        print(json.dumps({"opening": list(map(asdict, openings)), "loads": list(map(asdict, loads))}))
        return
    for opening in openings:
        beside = " beside a sweep" if opening.sweep else ""
        print(f"{opening.what:10} after {opening.seconds:6.2f} s, {opening.kilobytes:8.1f} kB{beside}")
    print(
        f"{'summary':10} {'sweep':6} {'requests':>8} {'a second':>9} {'median ms':>10} {'p99 ms':>8} {'most ms':>8}"
    )
    for load in loads:
        figures = f"{load.requests:8,} {load.per_second:9.0f} {load.median_ms:10.1f} {load.p99_ms:8.1f} {load.most_ms:8.1f}"
        print(f"{load.kind:10} {'runs' if load.sweep else 'none':6} {figures}")


def _plan(rounds: int, as_json: bool) -> None:
    from robustness.bench.packs import plan, plan_tasks

    with _progress("measurements", 3 * len(plan_tasks()) * (rounds + 1)) as advance:
        rows = list(plan(rounds=rounds, on_run=advance))
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    # INSGD: the time of its pack over that of momentum SGD, both by the chosen technique.
    print(f"{'workload':32} {'one at a time':>13} {'feature-major':>13} {'vmap':>7} {'INSGD':>6}  chosen")
    for row in rows:
        ratios = [
            f"{row.ratios[name]:.2f} x" if name in row.ratios else "-" for name in ("feature-major", "vmap")
        ]
        insgd = "-" if row.insgd is None else f"{row.insgd:.2f}"
        chosen = f"{row.chosen}, packs of {row.size}" if row.chosen else "one at a time"
        print(
            f"{row.workload:32} {row.sequential:11.2f}/s {ratios[0]:>13} {ratios[1]:>7} {insgd:>6}  {chosen}"
        )


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda: progress.advance(bar)
