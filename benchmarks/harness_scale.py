"""How long `plan`, `status` and `report` take, and how much memory, on studies of 100 to 10,000 cells.

Command: `python benchmarks/harness_scale.py` (about five minutes on two cores, most of it writing the records);
`--sizes 100 1000` is a quick look.

Each size is a study of 5 tiny tokenizers x axes of the optimiser x 5 seeds, each cell a run of its own. Its records,
logs, progress files and picture strips are written by the real writer, with made-up values: most runs done, some
failed (of memory, NaN, data), some killed, some interrupted, some not begun. Each verb then runs as a user runs it, in
a process of its own, and is timed from start to end, imports included; memory is the process' largest resident set.

The first `plan` of a study counts what its models cost; those after it remember. Both are shown.

Expected at 10,000 cells: `plan` and `status` under 5 s, `report` under 20 s, all under 1 GB; from 100 to 10,000 cells
time and memory grow at most as the number of cells does.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vtbench.evaluate import METRICS
from vtbench.schema.record import MetricValue, Provenance, RunError, StageRecord
from vtbench.schema.run import RunSpec
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.provenance import collect
from vtbench.store.query import save_plan
from vtbench.store.writer import RunWriter
from vtbench.study.expand import expand
from vtbench.study.fairness import facts
from vtbench.study.load import load_study

SIZES = (100, 1_000, 10_000)
LIMIT_SECONDS = {"plan": 5.0, "status": 5.0, "status --json": 5.0, "report": 20.0}
LIMIT_BYTES = 1e9
NUM_SEEDS = 5
LOG_LINES = 20
STEPS = 60
POINTS = (("32x32", 32), ("64x64", 64))

ARMS = {
    "grid": {"tokenizer.pos_embed": "grid"},
    "rope": {"tokenizer.pos_embed": "rope"},
    "rope_learnable": {"tokenizer.pos_embed": "rope_learnable"},
    "learned": {"tokenizer.pos_embed": "learned"},
    "fixed": {"tokenizer.patch_embed": "fixed"},
}
HEAD = """\
name: scale
question: How do the harness's verbs grow with the number of cells?
source: none; a benchmark
expected: at most linearly
base:
  tokenizer:
    name: vibetoken
    encoder: {width: 32, num_layers: 1, num_heads: 1}
    decoder: {width: 32, num_layers: 1, num_heads: 1}
    num_latent_tokens: 4
    latent_width: 16
    num_codebooks: 4
    codebook_size: 16
    kernel_size: 16
    patch_size: 8
    patch_sizes: [8]
    min_patches: 4
    max_patches: 64
  data: {name: icons, variants: false}
  mixing: {inputs: {32x32: 1.0}}
  train: {steps: 60, batch_size: 16}
  evaluate: {resolutions: [32x32, 64x64], num_samples: 64}
reference_arm: grid
metrics: [psnr, ssim, mae]
"""

FAILURES = (
    RunError(
        kind="OutOfMemoryError", message="CUDA out of memory. Tried to allocate {n} MiB.", stage="train_tokenizer"
    ),
    RunError(kind="NonFiniteLossError", message="training broke at step {n}: loss = nan.", stage="train_tokenizer"),
    RunError(kind="DataError", message="image {n}.png cannot be read", stage="train_tokenizer"),
)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one call of a verb took; what else runs on the machine changes `cpu_seconds` less than `seconds`."""

    seconds: float
    cpu_seconds: float
    peak_bytes: float


def study_text(num_cells: int) -> str:
    """Return the study of `num_cells` cells (a multiple of 25): arms x learning rates x weight decays x seeds."""
    points = num_cells // (len(ARMS) * NUM_SEEDS)
    rates = max(n for n in range(1, int(points**0.5) + 1) if points % n == 0)
    lines = [HEAD, "arms:"]
    for name, values in ARMS.items():
        pairs = ", ".join(f"{path}: {value}" for path, value in values.items())
        lines.append(f"  {name}: {{title: {name}, set: {{{pairs}}}}}")
    lines += [
        "axes:",
        f"  train.optimizer.learning_rate: {[round(1e-4 * (n + 1), 6) for n in range(rates)]}",
        f"  train.optimizer.weight_decay: {[round(1e-3 * (n + 1), 6) for n in range(points // rates)]}",
        f"seeds: {list(range(NUM_SEEDS))}",
        "profiles: {tiny: {note: made up, cost: nothing}}",
    ]
    return "\n".join(lines) + "\n"


def fill(folder: Path, num_cells: int) -> StudyPlan:
    """Write a study file, its plan and the records of its runs into `folder`; return the plan."""
    path = folder / "scale.yaml"
    path.write_text(study_text(num_cells))
    plan = expand(load_study(path))
    plan = plan.model_copy(update={"facts": facts(plan)})
    store, draw = Store(folder / "runs"), random.Random(0)
    save_plan(store, plan)
    provenance = collect(plan.command)
    versions = {name: METRICS.load(name).version for name in plan.metrics}
    for number, spec in enumerate(plan.runs.values()):
        _write(store, spec, provenance, versions, draw, number)
    return plan


def _write(
    store: Store, spec: RunSpec, provenance: Provenance, versions: dict[str, int], draw: random.Random, number: int
) -> None:
    """Write what a run of some fate leaves behind."""
    fate = draw.choices(("done", "failed", "killed", "interrupted", "none"), (88, 4, 1, 2, 5))[0]
    if fate == "none":
        return
    with RunWriter(store, spec, provenance) as writer:
        for step in range(0, STEPS, STEPS // LOG_LINES):
            loss = 1.0 / (1 + step) + 0.01 * draw.random()
            writer.log(step, {"loss": loss, "mse": 0.5 * loss, "grad_norm": draw.random()})
        writer.progress("train_tokenizer", STEPS, STEPS, 10.0)
        trained = StageRecord(name="train_tokenizer", status="done", steps=STEPS, seconds=6.0, checkpoint="step-60.pt")
        if fate == "done":
            measured = StageRecord(name="evaluate_reconstruction", status="done", seconds=1.0)
            writer.update(stages=(trained, measured), metrics=tuple(_values(versions, draw)), status="done")
        elif fate == "failed":
            error = FAILURES[number % len(FAILURES)]
            writer.update(status="failed", error=error.model_copy(update={"message": error.message.format(n=number)}))
        elif fate == "interrupted":
            writer.update(status="interrupted")
    if fate == "killed":
        store.worker_log_path(spec.run_id).write_text(f"step {number}\nKilled\n")


def _values(versions: dict[str, int], draw: random.Random) -> Iterator[MetricValue]:
    for resolution, side in POINTS:
        point: dict[str, str | int | float | None] = {"resolution": resolution, "num_tokens": None}
        for name, version in versions.items():
            value = 10 + side / 32 + draw.gauss(0, 0.1)
            yield MetricValue(
                name=name,
                metric_version=version,
                value=value,
                num_samples=64,
                params=point,
                protocol=f"{name:0<12.12}",
                checkpoint="ema@60",
            )


def verbs(folder: Path) -> dict[str, list[str]]:
    """Return the command line of each verb."""
    root, report = str(folder / "runs"), str(folder / "report")
    return {
        "plan": ["plan", str(folder / "scale.yaml"), "--root", root],
        "status": ["status", "--root", root],
        "status --json": ["status", "--json", "--root", root],
        "report": ["report", "scale@tiny", "--root", root, "--report-dir", report],
    }


_TIMED = """
import subprocess, sys, time
from resource import RUSAGE_CHILDREN, getrusage
started = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
seconds = time.perf_counter() - started
if done.returncode or not done.stdout:
    sys.exit(f"{' '.join(sys.argv[1:])} ended with {done.returncode}:\\n{done.stdout[-2000:]}")
used = getrusage(RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))
"""
"""Started as a small process: a child's largest resident set is at least that of the process that forked it."""


def measure(arguments: Sequence[str]) -> Taken:
    """Run a verb in a process of its own; it must print something and end with 0."""
    command = [sys.executable, "-S", "-c", _TIMED, sys.executable, "-m", "vtbench", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(done.stderr)
    seconds, cpu_seconds, peak_bytes = map(float, done.stdout.split())
    return Taken(seconds=seconds, cpu_seconds=cpu_seconds, peak_bytes=peak_bytes)


def compare(
    sizes: Sequence[int], repeats: int, say: Callable[[str], None], only: Sequence[str] = ()
) -> dict[str, dict[int, Taken]]:
    """Return, by verb and number of cells, the median time and the largest memory of some calls."""
    found: dict[str, dict[int, Taken]] = {}
    for size in sizes:
        with TemporaryDirectory() as temporary:
            folder, started = Path(temporary), time.perf_counter()
            plan = fill(folder, size)
            say(f"{len(plan.cells):,} cells, {len(plan.runs):,} runs written in {time.perf_counter() - started:.0f} s")
            for name, arguments in verbs(folder).items():
                if only and name not in only:
                    continue
                taken = [measure(arguments) for _ in range(repeats)]
                one = Taken(
                    seconds=statistics.median(each.seconds for each in taken),
                    cpu_seconds=statistics.median(each.cpu_seconds for each in taken),
                    peak_bytes=max(each.peak_bytes for each in taken),
                )
                found.setdefault(name, {})[size] = one
                say(
                    f"  {name:14s} {one.seconds:6.2f} s ({taken[0].seconds:.2f} s the first time),"
                    f" {one.cpu_seconds:5.2f} s of CPU {one.peak_bytes / 1e6:6.0f} MB"
                )
    return found


def main() -> None:
    """Print times, memory and growth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), help="numbers of cells, multiples of 25")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], choices=list(LIMIT_SECONDS), help="these verbs alone")
    options = parser.parse_args()
    if bad := [size for size in options.sizes if size < 25 or size % 25]:
        parser.error(f"{bad[0]} is no multiple of 25")
    found = compare(options.sizes, options.repeats, print, options.only)
    first, last = min(options.sizes), max(options.sizes)
    print(f"\nfrom {first:,} to {last:,} cells ({last / first:g}x):")
    for name, by_size in found.items():
        small, large = by_size[first], by_size[last]
        each = 1e3 * (large.seconds - small.seconds) / max(1, last - first)
        print(
            f"  {name:14s} {small.seconds:.2f} to {large.seconds:.2f} s ({large.seconds / small.seconds:.2f}x,"
            f" {each:.2f} ms for each more), {small.peak_bytes / 1e6:.0f} to {large.peak_bytes / 1e6:.0f} MB;"
            f" allowed at 10,000: {LIMIT_SECONDS[name]:g} s, {LIMIT_BYTES / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
