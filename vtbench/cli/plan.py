"""`plan`: what a study would run and cost, without starting it."""

from __future__ import annotations

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    ClusterOption,
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
from vtbench.cli.search_plan import plan_search_study
from vtbench.errors import LaunchError, VtbenchError
from vtbench.launch.cluster_file import LOCAL, load_cluster
from vtbench.launch.work_left import WorkLeft, work_left
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
    cluster: ClusterOption = LOCAL,
) -> None:
    """Show what a study would run and cost at any profile, without starting it: jobs, reuse, FLOPs, GPU-hours, disk.

    With `--cluster` also in how many arrays the jobs would go, and what `sbatch --test-only` says of one of them.
    Needs neither the data nor the devices of that profile; what is missing for a real run is listed at the end.

    Example: `python -m vtbench plan studies/pos_embed.yaml --profile paper`
    """
    store = open_store(root)
    path = find_study(study)
    given = {"profile": profile != DEFAULT_PROFILE, "seeds": seeds, "set": set_, "cluster": cluster != LOCAL}
    if is_cost_study(path):
        refuse(path, **given)
        plan_cost_study(path, store)
        return
    if is_protocol_study(path, **given):
        plan_protocol_study(path)
        return
    overrides = parse_overrides(set_)
    if cluster != LOCAL:
        load_cluster(cluster)
    loaded = load_study(path)
    if loaded.search is not None:
        plan_search_study(loaded, profile, seeds, overrides, store, devices=cluster == LOCAL)
        return
    made = expand(loaded, profile, seeds, overrides)
    # these import scipy and torch, and what is wrong above should not wait for that
    from vtbench.study.check import problems
    from vtbench.study.fairness import differences, facts

    missing = problems(made, store.cache_dir, overrides, devices=cluster == LOCAL)
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
        left = _show(made, store)
        if cluster != LOCAL and left.jobs:
            _show_cluster(made, store, cluster, left.jobs)
    for sentence in differences(made.facts):
        say(sentence)
    if missing:
        say("\nNeeded before running:")
        for line in dict.fromkeys(missing):
            say(f"  {line}")


def _show(plan: StudyPlan, store: Store) -> WorkLeft:
    left = work_left(store, plan)
    show_table(f"{plan.id}: {plan.profile.note.strip()}", COLUMNS, arm_rows(plan, left), numeric=COLUMNS[1:])
    say(f"{len(plan.cells):,} cells, {len(plan.runs):,} runs, {len(left.done):,} of them done in {store.root}")
    for line in (work_line, flops_line, time_line, disk_line):
        say(line(plan, left))
    return left


def _show_cluster(plan: StudyPlan, store: Store, name: str, num_jobs: int) -> None:
    """Say how the jobs would be submitted and when one would start; a cluster that does not answer is said so."""
    # submitit takes a third of a second, which plans without a cluster need not wait for
    from vtbench.launch.slurm import start_estimate
    from vtbench.launch.slurm_command import max_array_size

    resources = plan.profile.resources
    try:
        estimate = start_estimate(store, resources, resources.cluster.over(load_cluster(name)))
        largest = max_array_size()
    except LaunchError as error:
        say(f"Slurm: {error}")
        return
    say(f"Slurm: {estimate}")
    if num_jobs > largest:
        say(f"Slurm: {-(-num_jobs // largest)} arrays, as it takes at most {largest:,} jobs in one")
