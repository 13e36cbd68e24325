"""`explain`: why a run is reused, or what stands in the way."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    RootOption,
    RunArgument,
    RunStudyOption,
    SeedsOption,
    SetOption,
    open_store,
    parse_overrides,
)
from vtbench.cli.output import duration, say, show_table
from vtbench.errors import StoreError, StudyError
from vtbench.schema.record import RunRecord
from vtbench.schema.run import RunSpec
from vtbench.store.find import FoundRun, cell_name, find_cell, find_run
from vtbench.store.layout import Store
from vtbench.store.query import begun_runs, load_record, load_versioned, plan_ids
from vtbench.store.state import RunState, read_states
from vtbench.study.expand import expand
from vtbench.study.load import find_study, load_study

ProfileOfStudy = Annotated[
    str | None,
    typer.Option(
        "--profile", "-p", metavar="NAME", help=f"With a study's file: at which scale. [default: {DEFAULT_PROFILE}]"
    ),
]


def explain(
    run: RunArgument,
    study: RunStudyOption = None,
    profile: ProfileOfStudy = None,
    seeds: SeedsOption = None,
    root: RootOption = None,
    set_: SetOption = None,
) -> None:
    """Say why a run is reused; or, if it is not, in which fields it differs from the nearest one that is stored.

    A study's file is read as it is now: `explain pos_embed/grid/0` says what `run studies/pos_embed.yaml` would do. By
    its id a run is explained as it is stored.

    Example: `python -m vtbench explain pos_embed/grid/0 --set train.steps=2000`
    """
    store = open_store(root)
    found = _from_file(run, study, profile, seeds, parse_overrides(set_)) or find_run(store, run, study)
    say(f"run {found.label}")
    record = load_record(store, found.run_id)
    state = read_states(store, [found.run_id])[found.run_id]
    say(_state_line(state))
    if record is not None:
        _explain_record(found, record, state)
    elif found.plan is not None:
        _explain_absence(store, found.plan.runs[found.run_id])


def _from_file(
    run: str, study: str | None, profile: str | None, seeds: int | None, overrides: dict[str, object]
) -> FoundRun | None:
    """Return the run of a study's file as the file is now; None if no file is meant."""
    name = study if study is not None else run.partition("/")[0] if "/" in run else None
    if name is None:
        if profile is not None or seeds is not None or overrides:
            raise StudyError("--profile, --seeds and --set need a study's file: write STUDY/ARM/SEED or --study FILE.")
        return None
    name, _, at = name.partition("@")
    try:
        path = find_study(name)
    except StudyError:
        if profile is not None or seeds is not None or overrides:
            raise
        return None
    if at and profile is not None and at != profile:
        raise StudyError(f"'{run}' is of the profile '{at}', and --profile says '{profile}'.")
    plan = expand(load_study(path), profile or at.partition("+")[0] or DEFAULT_PROFILE, seeds, overrides)
    text = run if study is not None else run.partition("/")[2]
    by_id = [cell for cell in plan.cells if cell.run_id.startswith(text)] if "/" not in text else []
    if len({cell.run_id for cell in by_id}) == 1:
        return FoundRun(run_id=by_id[0].run_id, plan=plan, cell=by_id[0])
    return find_cell([plan], text, f"in {path} at the profile {plan.profile.name}")


def _state_line(state: RunState) -> str:
    when = f", last heard of {duration(state.seconds_ago)} ago" if state.seconds_ago is not None else ""
    return f"state: {state.state}{f' ({state.reason})' if state.reason else ''}{when}"


def _explain_record(found: FoundRun, record: RunRecord, state: RunState) -> None:
    """Say what a stored run lacks for its plan, if anything, and where it came from."""
    # the metrics come with it, and with them torch
    from vtbench.launch.missing import missing_values

    made = record.provenance
    code = f"commit {made.commit[:12]}{' with changes' if made.dirty_hash else ''}" if made.commit else "unknown code"
    say(f"made by `{made.command}`, {code}, begun {made.started}")
    if record.status != "done":
        say("not reused: it has not come to its end. The next `run` goes on from what is kept.")
        return
    if found.plan is None:
        say("No stored plan asks for it; a study that comes to the same config and seed will reuse it.")
        return
    if missing := missing_values(found.plan, record):
        say(f"trained, and not trained again; {len(missing)} values are to be measured for {found.plan.id}:")
        say("\n".join(f"  {line}" for line in missing))
        return
    say(f"reused: the same config, seed and identity version, and every value that {found.plan.id} asks for.")


def _explain_absence(store: Store, spec: RunSpec) -> None:
    """Say which stored run is nearest to one that is not there, and in what they differ."""
    # component configs come with it, and with them torch
    from vtbench.study.nearest import nearest

    stored = [load_versioned(path, RunSpec) for path in _spec_paths(store)]
    near = nearest(spec, stored)
    if near is None:
        say(f"not reused: {store.root} holds no run that it could be compared with.")
        return
    say(f"not reused: no stored run has this config and seed. The nearest, {_named(store, near.run_id)}, differs in:")
    if not near.differences:
        say("  nothing but the version of the identity: what the same config means has changed since.")
        return
    rows = [[one.path, one.ours, one.theirs] for one in near.differences]
    show_table("", ["field", "this run", near.run_id], rows)


def _spec_paths(store: Store) -> list[Path]:
    """Return the specs of all runs that have a record."""
    return [store.spec_path(name) for name in sorted(begun_runs(store)) if store.record_path(name).exists()]


def _named(store: Store, run_id: str) -> str:
    """Return a run's id with the first cell of a stored plan that it answers."""
    for plan_id in plan_ids(store):
        try:
            found = find_run(store, run_id, plan_id)
        except StoreError:
            continue
        if found.cell is not None:
            return f"{run_id} ({plan_id}: {cell_name(found.cell)})"
    return run_id
