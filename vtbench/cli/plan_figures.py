"""What `plan` shows of a plan: a row for each arm, the work left, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vtbench.cli.output import count, duration
from vtbench.launch.work_left import BYTES_PER_PARAMETER, WorkLeft, facts_by_run, measured_bytes, runs_by_fact
from vtbench.schema.study import ArmFacts, StudyPlan

COLUMNS = ("arm", "runs", "done", "parameters", "training GFLOPs", "steps", "images seen", "tokens")
MOST_ROWS = 40
"""With more points on the axes than this, an arm has one row, with the range of each figure."""


def arm_rows(plan: StudyPlan, left: WorkLeft) -> list[list[str]]:
    """Return a row for each arm and point of the axes, or for each arm where these are many."""
    groups: dict[str, list[tuple[ArmFacts, list[str]]]] = {}
    for fact, run_ids in runs_by_fact(plan):
        point = "".join(f" {path}={value}" for path, value in fact.coordinates.items())
        label = fact.arm if len(plan.facts) > MOST_ROWS else f"{fact.arm}{point}"
        groups.setdefault(label, []).append((fact, run_ids))
    rows = []
    for label, members in groups.items():
        of_label = {run_id for _, run_ids in members for run_id in run_ids}
        several = f" ({len(members)} points)" if len(members) > 1 else ""
        numbers = [f"{len(of_label):,}", f"{len(left.done & of_label):,}"]
        rows.append([f"{label}{several}", *numbers, *_figures(members)])
    return rows


def work_line(plan: StudyPlan, left: WorkLeft) -> str:
    """Return which runs are reused and which get a job."""
    groups = {
        "to train": left.to_train,
        "to go on": left.to_resume,
        "trained, to be measured": left.to_measure,
    }
    parts = ", ".join(f"{len(runs):,} {what}" for what, runs in groups.items() if runs)
    jobs = f"{left.jobs:,}, one a run ({parts})" if left.jobs else "none"
    return f"jobs: {jobs}; {len(left.done):,} of {len(plan.runs):,} runs are reused"


def flops_line(plan: StudyPlan, left: WorkLeft) -> str:
    """Return the training FLOPs of what is left."""
    return f"FLOPs: {count(left_flops(plan, left))} of training (forward and backward, 2 x multiply-accumulate)"


def time_line(plan: StudyPlan, left: WorkLeft) -> str:
    """Return how long that takes: counted FLOPs over the device's peak and the assumed share of it."""
    resources, cost = plan.profile.resources, " ".join(plan.profile.cost.split())
    if (hours := device_hours(plan, left)) is None or resources.peak_flops is None:
        return f"time: {cost} (said by the study for all of its runs)"
    devices = max(resources.num_gpus, 1)
    unit = "GPU-hours" if resources.num_gpus else "device-hours"
    each = f"{count(resources.peak_flops)}FLOP/s peak at {resources.utilisation:.0%} utilisation"
    return (
        f"time: about {duration(hours * 3600 / devices)} one run after another, {hours:.1f} {unit}, assuming"
        f" {devices} x {each} for a run; training alone, without losses' networks and evaluation."
        f" The study says: {cost}"
    )


def disk_line(plan: StudyPlan, left: WorkLeft) -> str:
    """Return how much the runs that are left will write."""
    return (
        f"disk: about {count(checkpoint_bytes(plan, left))}B of checkpoints (float32, weights + average + two moments,"
        f" two kept a run) and {count(row_bytes(plan, left))}B of measured rows"
    )


def device_hours(plan: StudyPlan, left: WorkLeft) -> float | None:
    """Return the hours of one device that training takes at the stated utilisation; None if its peak is not known."""
    resources = plan.profile.resources
    if resources.peak_flops is None:
        return None
    return left_flops(plan, left) / (resources.peak_flops * resources.utilisation) / 3600


def gpu_hours(plan: StudyPlan, left: WorkLeft) -> float | None:
    """Return `device_hours` of a profile that has GPUs, None of others."""
    return device_hours(plan, left) if plan.profile.resources.num_gpus else None


def checkpoint_bytes(plan: StudyPlan, left: WorkLeft) -> int:
    """Return the bytes of the checkpoints that the runs that are left keep."""
    facts = facts_by_run(plan)
    return sum(facts[name].num_parameters for name in left.trains if name in facts) * BYTES_PER_PARAMETER


def row_bytes(plan: StudyPlan, left: WorkLeft) -> int:
    """Return the bytes of what is measured of each image in the runs that are left."""
    return measured_bytes(plan) * left.jobs


def left_flops(plan: StudyPlan, left: WorkLeft) -> float:
    """Return what is left to train; a run that goes on is counted whole, as its checkpoint may be of any step."""
    facts = facts_by_run(plan)
    return sum(facts[name].training_flops for name in left.trains if name in facts)


def _figures(members: Sequence[tuple[ArmFacts, list[str]]]) -> list[str]:
    """Return parameters, FLOPs of all runs, steps, images and tokens; a range where the points differ."""
    facts = [fact for fact, _ in members]
    return [
        _range([fact.num_parameters for fact in facts], count),
        _gflops(sum(fact.training_flops * len(run_ids) for fact, run_ids in members)),
        _range([fact.steps for fact in facts], _whole),
        _range([fact.images_seen for fact in facts], _whole),
        ", ".join(dict.fromkeys(fact.num_tokens for fact in facts)),
    ]


def _range(values: Sequence[int], write: Callable[[float], str]) -> str:
    low, high = write(min(values)), write(max(values))
    return low if low == high else f"{low} to {high}"


def _gflops(flops: float) -> str:
    return f"{flops / 1e9:,.0f}" if flops >= 1e11 else f"{flops / 1e9:.3g}"


def _whole(number: float) -> str:
    return f"{number:,.0f}"
