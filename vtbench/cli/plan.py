"""`plan`: what studies would run and cost, without starting them."""

from __future__ import annotations

from pathlib import Path

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    ClusterOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    StudiesArgument,
    open_store,
    parse_overrides,
)
from vtbench.cli.cost_study import is_cost_study, plan_cost_study, refuse
from vtbench.cli.output import say, show_table
from vtbench.cli.plan_figures import COLUMNS, arm_rows, disk_line, flops_line, time_line, work_line
from vtbench.cli.plan_summary import StudyRow, other_row, show_rows, training_rows
from vtbench.cli.planning import Asked, Failures, costed_plan, say_missing, with_profile
from vtbench.cli.protocol_study import is_protocol_study, plan_protocol_study
from vtbench.cli.search import is_search_study
from vtbench.cli.search_plan import plan_search_study, search_row
from vtbench.errors import LaunchError
from vtbench.launch.cluster_file import LOCAL, load_cluster
from vtbench.launch.reuse import done_runs
from vtbench.launch.work_left import WorkLeft, work_left
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.study.load import TRAINING, find_study, study_kind


def plan(
    studies: StudiesArgument,
    profile: ProfileOption = DEFAULT_PROFILE,
    seeds: SeedsOption = None,
    root: RootOption = None,
    set_: SetOption = None,
    cluster: ClusterOption = LOCAL,
) -> None:
    """Show what studies would run and cost at any profile, without starting it: jobs, reuse, FLOPs, GPU-hours, disk.

    Of several studies each has a row, with what it shares with those before it, and there is a total. With `--cluster`
    a single one also says in how many arrays the jobs would go, and what `sbatch --test-only` says of one of them.
    Needs neither the data nor the devices of that profile; what is missing for a real run is listed at the end.

    Example: `python -m vtbench plan studies/*.yaml --profile paper`
    """
    store = open_store(root)
    paths = [find_study(study) for study in dict.fromkeys(studies)]
    asked = Asked(profile=profile, seeds=seeds, overrides=parse_overrides(set_), devices=cluster == LOCAL)
    if cluster != LOCAL:
        load_cluster(cluster)
    if len(paths) > 1:
        _plan_studies(with_profile(paths, profile), asked, store)
        return
    (path,) = paths
    given = {"profile": profile != DEFAULT_PROFILE, "seeds": seeds, "set": set_, "cluster": cluster != LOCAL}
    if is_cost_study(path):
        refuse(path, **given)
        plan_cost_study(path, store)
    elif is_protocol_study(path, **given):
        plan_protocol_study(path)
    elif is_search_study(path):
        plan_search_study(path, asked, store)
    else:
        _plan_study(path, asked, store, cluster)


def _plan_study(path: Path, asked: Asked, store: Store, cluster: str) -> None:
    made, missing = costed_plan(path, asked, store)
    # it imports torch, which is there by now
    from vtbench.study.fairness import differences

    if made.facts:
        left = _show(made, store)
        if cluster != LOCAL and left.jobs:
            _show_cluster(made, store, cluster, left.jobs)
    for sentence in differences(made.facts):
        say(sentence)
    say_missing(missing)


def _plan_studies(paths: list[Path], asked: Asked, store: Store) -> None:
    """Show a row for each study: those that train nothing first, then the others in the order of the command line."""
    plans: dict[Path, StudyPlan] = {}
    rows: dict[Path, StudyRow] = {}
    missing: list[str] = []
    failures = Failures()
    for path in paths:
        with failures.of(path):
            if study_kind(path) == TRAINING:
                plans[path], lines = costed_plan(path, asked, store)
                missing += lines
            elif is_search_study(path):
                rows[path], lines = search_row(path, asked, store)
                missing += lines
            else:
                rows[path] = other_row(path, store)
    title = f"{len(rows) + len(plans)} studies at the profile {asked.profile}"
    show_rows(title, [*rows.values(), *training_rows(plans.values(), store)])
    say(f"what is done lies in {store.root}; a run that studies share is made once, by the first of them")
    say_missing(missing)
    failures.end()


def _show(plan: StudyPlan, store: Store) -> WorkLeft:
    left = work_left(store, plan)
    show_table(f"{plan.id}: {plan.profile.note.strip()}", COLUMNS, arm_rows(plan, left), numeric=COLUMNS[1:])
    say(f"{len(plan.cells):,} cells, {len(plan.runs):,} runs, {len(left.done):,} of them done in {store.root}")
    for part in plan.needs:
        done = len(done_runs(store, part))
        arms = ", ".join(dict.fromkeys(cell.arm for cell in part.cells))
        say(f"needs first: {len(part.runs):,} runs of {part.id} ({arms}), {done:,} of them done")
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
