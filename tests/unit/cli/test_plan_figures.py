import pytest

from vtbench.cli.plan_figures import COLUMNS, arm_rows, disk_line, flops_line, time_line, work_line
from vtbench.launch.work_left import WorkLeft
from vtbench.schema.study import ArmFacts, Cell
from vtbench.study.expand import expand
from vtbench.study.load import load_study


@pytest.fixture
def make(folder):
    """A plan of one arm at some values of an axis, each with a run of its own."""
    small = expand(load_study(folder / "studies" / "small.yaml"), "gpu")
    spec = next(iter(small.runs.values()))

    def make(num_points):
        cells = [Cell(arm="grid", coordinates={"train.steps": n}, seed=0, run_id=f"r{n}") for n in range(num_points)]
        facts = [
            ArmFacts(
                arm="grid",
                coordinates=cell.coordinates,
                num_parameters=1000,
                training_flops=4e14,
                images_seen=2 * n,
                steps=n,
                num_tokens="4",
            )
            for n, cell in enumerate(cells)
        ]
        runs = {cell.run_id: spec for cell in cells}
        return small.model_copy(update={"cells": tuple(cells), "facts": tuple(facts), "runs": runs})

    return make


def left(done=(), measure=(), resume=(), train=()):
    groups = {"done": done, "to_measure": measure, "to_resume": resume, "to_train": train}
    return WorkLeft(**{name: frozenset(runs) for name, runs in groups.items()})


def test_a_row_for_each_point(make):
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in arm_rows(make(3), left(done=["r1"]))]
    assert [row["arm"] for row in rows] == [f"grid train.steps={n}" for n in range(3)]
    assert [row["done"] for row in rows] == ["0", "1", "0"]
    assert rows[2]["training GFLOPs"] == "400,000"


def test_many_points_are_one_row_with_ranges(make):
    (row,) = arm_rows(make(50), left(done=["r1", "r2"]))
    assert row == ["grid (50 points)", "50", "2", "1k", "20,000,000", "0 to 49", "0 to 98", "4"]


def test_what_is_left_and_what_it_costs(make):
    plan = make(4)
    some = left(["r0"], ["r1"], ["r2"], ["r3"])
    assert work_line(plan, some) == (
        "jobs: 3, one a run (1 to train, 1 to go on, 1 trained, to be measured); 1 of 4 runs are reused"
    )
    assert flops_line(plan, some).startswith("FLOPs: 800T of training")
    # 8e14 FLOPs at 40 % of 1e12 FLOP/s
    assert time_line(plan, some).startswith(
        "time: about 33 min 20 s one run after another, 0.6 GPU-hours, assuming 1 x 1T"
    )
    assert disk_line(plan, some).startswith("disk: about 64kB of checkpoints")
    assert work_line(plan, left(plan.runs)) == "jobs: none; 4 of 4 runs are reused"
