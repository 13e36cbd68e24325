"""A small plan and its parts."""

import pytest

from vtbench.schema.record import MetricValue, Provenance
from vtbench.schema.run import Component, MixingConfig, RunConfig, RunSpec, TrainConfig
from vtbench.schema.study import Arm, Cell, EvaluateConfig, Profile, Study, StudyPlan
from vtbench.store.layout import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@pytest.fixture
def provenance():
    return Provenance(
        commit="c0ffee",
        dirty_hash=None,
        packages={"torch": "2.15"},
        hardware="a CPU",
        command="run",
        started="2026-01-01",
    )


@pytest.fixture
def make_spec():
    def make(run_id: str = "0123456789ab", seed: int = 0, **options: object) -> RunSpec:
        config = RunConfig(
            tokenizer=Component(name="vibetoken", **options),
            data=Component(name="icons"),
            mixing=MixingConfig(inputs={"32x32": 1.0}),
            train=TrainConfig(steps=10, batch_size=4),
        )
        return RunSpec(run_id=run_id, config=config, seed=seed)

    return make


@pytest.fixture
def make_value():
    def make(name: str = "psnr", value: float = 1.0, protocol: str = "p", **fields: object) -> MetricValue:
        given = {
            "metric_version": 1,
            "num_samples": 64,
            "params": {"resolution": "32x32", "num_tokens": None},
            **fields,
        }
        return MetricValue(name=name, value=value, protocol=protocol, checkpoint="last", **given)

    return make


@pytest.fixture
def plan(make_spec):
    """Two arms, one axis with two values, one seed; the second arm shares one run between both axis values."""
    study = Study(
        name="s",
        path="studies/s.yaml",
        question="Which?",
        source="a paper",
        expected="b",
        base={},
        arms=(Arm(name="a", title="A", set={}), Arm(name="b", title="B", set={})),
        axes={"train.steps": (1, 2)},
        metrics=("psnr",),
        profiles=(Profile(name="tiny", note="small", cost="1 min"),),
        reference_arm="a",
    )
    runs = {"a1": make_spec("a1"), "a2": make_spec("a2"), "b": make_spec("b", pos_embed="rope")}
    cells = [("a", 1, "a1"), ("a", 2, "a2"), ("b", 1, "b"), ("b", 2, "b")]
    return StudyPlan(
        study=study,
        profile=study.profiles[0],
        seeds=(0,),
        metrics=("psnr",),
        evaluate=EvaluateConfig(resolutions=("32x32", "64x64"), num_samples=64),
        cells=tuple(Cell(arm=arm, coordinates={"train.steps": n}, seed=0, run_id=run) for arm, n, run in cells),
        runs=runs,
    )
