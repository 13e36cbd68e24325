"""`plan`: what a study would run and cost, without starting it."""

from __future__ import annotations

from collections.abc import Sequence

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    StudyArgument,
    open_store,
    parse_overrides,
)
from vtbench.cli.cost_study import is_cost_study, plan_cost_study, refuse
from vtbench.cli.output import count, duration, say, show_table
from vtbench.cli.protocol_study import is_protocol_study, plan_protocol_study
from vtbench.errors import VtbenchError
from vtbench.launch.reuse import is_done
from vtbench.schema.study import ArmFacts, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import load_record
from vtbench.study.baselines import load_baseline
from vtbench.study.expand import expand
from vtbench.study.load import find_study, load_study

BYTES_PER_PARAMETER = 4 * 4 * 2
"""float32; weights, average and two moments of the optimiser; two checkpoints are kept."""


def plan(
    study: StudyArgument,
    profile: ProfileOption = DEFAULT_PROFILE,
    seeds: SeedsOption = None,
    root: RootOption = None,
    set_: SetOption = None,
) -> None:
    """Show what a study would run and cost at any profile, without starting it.

    Needs neither the data nor the devices of that profile; what is missing for a real run is listed at the end.

    Example: `python -m vtbench plan studies/pos_embed.yaml --profile paper`
    """
    store = open_store(root)
    path = find_study(study)
    if is_cost_study(path):
        refuse(path, profile=profile != DEFAULT_PROFILE, seeds=seeds, set=set_)
        plan_cost_study(path, store)
        return
    if is_protocol_study(path, profile=profile != DEFAULT_PROFILE, seeds=seeds, set=set_):
        plan_protocol_study(path)
        return
    overrides = parse_overrides(set_)
    made = expand(load_study(path), profile, seeds, overrides)
    # these import scipy and torch, and what is wrong above should not wait for that
    from vtbench.study.check import problems
    from vtbench.study.fairness import differences, facts

    missing = problems(made, store.cache_dir, overrides)
    for name in made.study.published:
        try:
            load_baseline(name)
        except VtbenchError as error:
            missing.append(str(error))
    try:
        made = made.model_copy(update={"facts": facts(made)})
    except VtbenchError as error:
        missing.append(str(error))
    if made.facts:
        _show(made, store)
    for sentence in differences(made.facts):
        say(sentence)
    if missing:
        say("\nNeeded before running:")
        for line in dict.fromkeys(missing):
            say(f"  {line}")


def _show(plan: StudyPlan, store: Store) -> None:
    done = {run_id for run_id in plan.runs if is_done(plan, load_record(store, run_id))}
    rows = [_row(plan, fact, done) for fact in plan.facts]
    columns = ["arm", "runs", "done", "parameters", "training GFLOPs", "steps", "images seen", "tokens"]
    show_table(f"{plan.id}: {plan.profile.note.strip()}", columns, rows, numeric=columns[1:])
    say(f"{len(plan.cells)} cells, {len(plan.runs)} runs, {len(done)} of them done in {store.root}")
    say(f"time: {_time(plan, done)}")
    say(f"disk: about {_disk(plan, done)} of checkpoints (float32, weights + average + two moments, two kept a run)")


def _row(plan: StudyPlan, fact: ArmFacts, done: set[str]) -> Sequence[str]:
    point = "".join(f" {path}={value}" for path, value in fact.coordinates.items())
    runs = _runs(plan, fact)
    return [
        f"{fact.arm}{point}",
        str(len(runs)),
        str(len(runs & done)),
        count(fact.num_parameters),
        _gflops(fact.training_flops * len(runs)),
        f"{fact.steps:,}",
        f"{fact.images_seen:,}",
        fact.num_tokens,
    ]


def _gflops(flops: float) -> str:
    return f"{flops / 1e9:,.0f}" if flops >= 1e11 else f"{flops / 1e9:.3g}"


def _runs(plan: StudyPlan, fact: ArmFacts) -> set[str]:
    return {cell.run_id for cell in plan.cells if cell.arm == fact.arm and cell.coordinates == fact.coordinates}


def _to_do(plan: StudyPlan, done: set[str]) -> dict[str, ArmFacts]:
    """Return the facts of each run that is not done; a run that several arms share is there once."""
    return {run_id: fact for fact in plan.facts for run_id in _runs(plan, fact) if run_id not in done}


def _time(plan: StudyPlan, done: set[str]) -> str:
    resources, cost = plan.profile.resources, " ".join(plan.profile.cost.split())
    if resources.peak_flops is None:
        return f"{cost} (said by the study for all of its runs)"
    devices = max(resources.num_gpus, 1)
    speed = resources.peak_flops * resources.utilisation * devices
    seconds = sum(fact.training_flops for fact in _to_do(plan, done).values()) / speed
    each = f"{count(resources.peak_flops)}FLOP/s peak at {resources.utilisation:.0%} utilisation"
    return (
        f"about {duration(seconds)} for what is not done, {seconds * devices / 3600:.1f} device-hours, assuming"
        f" {devices} x {each}; training alone, without losses' networks and evaluation. The study says: {cost}"
    )


def _disk(plan: StudyPlan, done: set[str]) -> str:
    return f"{count(sum(fact.num_parameters for fact in _to_do(plan, done).values()) * BYTES_PER_PARAMETER)}B"
