import pytest

from vtbench.evaluate import METRICS
from vtbench.launch.work_left import facts_by_run, measured_bytes, runs_by_fact, work_left
from vtbench.schema.record import MetricValue, Provenance, StageRecord
from vtbench.schema.study import ArmFacts
from vtbench.store.writer import RunWriter

NOWHERE = Provenance(commit=None, dirty_hash=None, packages={}, hardware="", command="", started="")


def trained(writer):
    writer.set_stage(StageRecord(name="train_tokenizer", status="done", steps=3))


def measured(writer, plan, name):
    writer.add_metrics(
        [
            MetricValue(
                name=name,
                metric_version=METRICS.load(name).version,
                value=1.0,
                num_samples=4,
                params={"resolution": "16x16", "num_tokens": None},
                protocol="p",
                checkpoint="c",
            )
        ]
    )


@pytest.fixture
def plan(make_plan):
    plan = make_plan()
    names = [arm.name for arm in plan.study.arms]
    facts = tuple(
        ArmFacts(
            arm=name,
            coordinates={},
            num_parameters=10,
            training_flops=1e9,
            images_seen=6,
            steps=3,
            num_tokens="4",
        )
        for name in names
    )
    return plan.model_copy(update={"facts": facts})


def test_runs_by_what_is_left(store, plan):
    first, second = plan.runs
    assert work_left(store, plan).to_train == {first, second}
    with RunWriter(store, plan.runs[first], NOWHERE) as writer:
        assert work_left(store, plan).to_resume == {first}
        trained(writer)
        assert work_left(store, plan).to_measure == {first}
        writer.update(status="done")
        measured(writer, plan, "psnr")
        assert work_left(store, plan).to_measure == {first}
        measured(writer, plan, "mae")
    left = work_left(store, plan)
    assert (left.done, left.to_train, left.jobs, left.trains) == ({first}, {second}, 1, {second})
    with RunWriter(store, plan.runs[second], NOWHERE) as writer:
        trained(writer)
        writer.update(status="failed")
    assert work_left(store, plan).to_measure == {second}


def test_a_shared_run_is_with_each_of_its_arms_and_counted_once(plan):
    first, second = plan.cells
    shared = plan.model_copy(update={"cells": (first, second.model_copy(update={"run_id": first.run_id}))})
    assert [(fact.arm, runs) for fact, runs in runs_by_fact(shared)] == [
        (first.arm, [first.run_id]),
        (second.arm, [first.run_id]),
    ]
    assert list(facts_by_run(shared)) == [first.run_id]
    assert {run_id: fact.arm for run_id, fact in facts_by_run(plan).items()} == {
        first.run_id: first.arm,
        second.run_id: second.arm,
    }


def test_the_rows_that_one_run_keeps(plan):
    # psnr and mae are one float64 an image; one resolution, one length, four images
    assert measured_bytes(plan) == 2 * 8 * 4
    wider = plan.model_copy(update={"evaluate": plan.evaluate.model_copy(update={"num_tokens": (None, 2)})})
    assert measured_bytes(wider) == 2 * measured_bytes(plan)
    with_features = plan.model_copy(update={"metrics": ("psnr", "rfd_effnet")})
    assert measured_bytes(with_features) == (8 + 1280 * 4) * 4
