from vtbench.cli.run_states import COLUMNS, PlanStates, totals
from vtbench.schema.record import RunError
from vtbench.schema.study import Cell
from vtbench.store.failure import classify
from vtbench.store.query import PlanCells
from vtbench.store.state import RunState


def cell(name, seed):
    return Cell(arm="a", coordinates={"train.steps": 2}, seed=seed, run_id=name)


def make(*states):
    plan = PlanCells(
        schema_version=1,
        study={"name": "s"},
        profile={"name": "tiny"},
        cells=tuple(cell(state.run_id, seed) for seed, state in enumerate(states)),
        runs={state.run_id: {} for state in states},
    )
    return PlanStates(plan, {state.run_id: state for state in states})


def test_a_row():
    state = RunState(
        run_id="r",
        state="running",
        stage="train",
        step=5,
        total=10,
        loss=0.123456,
        images_per_second=1234.5,
        seconds_left=65,
        seconds_ago=1,
        node="n1",
        reason="x" * 100,
    )
    row = dict(zip(COLUMNS, make(state).rows()[0], strict=True))
    assert row["arm"] == "a train.steps=2"
    assert (row["seed"], row["run"], row["state"], row["step"]) == ("0", "r", "running", "5/10")
    assert (row["loss"], row["images/s"], row["left"], row["node"]) == ("0.1235", "1.23e+03", "1 min 05 s", "n1")
    assert len(row["why"]) == 60
    assert row["why"].endswith("…")


def test_the_most_urgent_rows_of_a_large_plan_come_first():
    quiet = [RunState(run_id=f"q{n}", state="done") for n in range(50)]
    found = make(RunState(run_id="f", state="failed"), *quiet, RunState(run_id="r", state="running"))
    assert [row[2] for row in found.rows()] == ["r", "f"]
    assert len(found.rows(every=True)) == 52
    assert found.summary() == "52 runs: 1 running, 1 failed, 50 done"
    assert found.waiting
    assert not make(*quiet).waiting


def test_failures_alike_are_one_entry():
    failure = classify(RunError(kind="OutOfMemoryError", message="CUDA out of memory"), ["one", "two"])
    states = [RunState(run_id=f"r{n}", state="failed", failure=failure) for n in range(5)]
    assert make(*states).failure_lines() == [
        "5 x out of memory: OutOfMemoryError: CUDA out of memory",
        "    r0 (a/steps=2/0), r1 (a/steps=2/1), r2 (a/steps=2/2) and 2 more",
        "    | one",
        "    | two",
    ]
    (plain,) = make(*states).plain()["failures"]
    assert plain["run_ids"] == ("r0", "r1", "r2", "r3", "r4")


def test_a_run_that_two_plans_share_counts_once():
    one = make(RunState(run_id="r", state="done"))
    assert totals([one, one]) == {"done": 1}
