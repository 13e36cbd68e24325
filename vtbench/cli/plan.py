"""`plan`: what a study would run and cost, without starting it."""

from __future__ import annotations

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
from vtbench.cli.output import say, show_table
from vtbench.cli.plan_figures import COLUMNS, arm_rows, disk_line, flops_line, time_line, work_line
from vtbench.cli.protocol_study import is_protocol_study, plan_protocol_study
from vtbench.errors import VtbenchError
from vtbench.launch.work_left import work_left
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.study.baselines import load_baseline
from vtbench.study.expand import expand
from vtbench.study.load import find_study, load_study


def plan(
    study: StudyArgument,
    profile: ProfileOption = DEFAULT_PROFILE,
    seeds: SeedsOption = None,
    root: RootOption = None,
    set_: SetOption = None,
) -> None:
    """Show what a study would run and cost at any profile, without starting it: jobs, reuse, FLOPs, GPU-hours, disk.

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
    left = work_left(store, plan)
    show_table(f"{plan.id}: {plan.profile.note.strip()}", COLUMNS, arm_rows(plan, left), numeric=COLUMNS[1:])
    say(f"{len(plan.cells):,} cells, {len(plan.runs):,} runs, {len(left.done):,} of them done in {store.root}")
    for line in (work_line, flops_line, time_line, disk_line):
        say(line(plan, left))
