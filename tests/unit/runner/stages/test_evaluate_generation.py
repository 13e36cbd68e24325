"""A trained generator's samples are measured, shown and costed; what is there is not made again."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from vtbench.models.generators.guidance import scales
from vtbench.runner.stages import cache_tokens, evaluate_generation, measure_cost, train_generator, train_tokenizer
from vtbench.runner.stages.evaluate_generation import SampledModel, scale_of
from vtbench.schema.generation import CfgSchedule
from vtbench.schema.record import StageRecord

GENERATION = {
    "resolutions": ["16x16", "16x24"],
    "cfg_scale": [1.0, 2.0],
    "num_samples": 6,
    "batch_size": 4,
    "num_shown": 3,
}


@pytest.fixture
def trained(make_generator_plan, open_context):
    """A generator's run after training, and its plan."""
    plan = make_generator_plan(evaluate__generation=GENERATION)
    plan = plan.model_copy(update={"metrics": ("gfd_effnet", "psnr")})
    generator = next(run_id for run_id, spec in plan.runs.items() if spec.config.generator is not None)
    with open_context(plan, plan.runs[generator].needs[0]) as context:
        train_tokenizer.run(context)
    with open_context(plan, generator) as context:
        cache_tokens.run(context)
        train_generator.run(context)
        yield context


def _names(context):
    return {value.name for value in context.writer.record.metrics}


def test_samples_are_measured_at_every_point_and_kept_as_pictures(trained):
    evaluate_generation.run(trained)
    record, config = trained.writer.record, trained.plan.evaluate.generation
    assert _names(trained) == {"gfd_effnet", "gfd_effnet_real", "memorisation"}
    at = [value.params for value in record.metrics if value.name == "gfd_effnet"]
    assert at == [point.params for point in config.points]
    assert all(record.protocols[value.protocol] for value in record.metrics)
    assert trained.is_done(evaluate_generation.NAME)
    folder = trained.store.samples_dir(trained.spec.run_id)
    for point in config.points:
        height, width = (int(side) for side in point.resolution.split("x"))
        for kind, rows in (("samples", 1), ("neighbours", 2)):
            with Image.open(folder / f"{point.name}_{kind}.png") as image:
                assert image.size == (3 * width, rows * height)
                named = json.loads(image.info.get("rows", "[]"))
                assert named == (list(trained.train_data.label_names[:rows]) if kind == "samples" else [])
                assert len(named) == (rows if kind == "samples" else 0)


def test_nothing_is_made_twice(trained, monkeypatch):
    evaluate_generation.run(trained)
    record = trained.writer.record

    def no_model(*_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(type(trained), "trained_generator", no_model)
    monkeypatch.setattr(type(trained), "trained_tokenizer", no_model)
    evaluate_generation.run(trained)
    assert trained.writer.record == record
    trained.writer.update(metrics=())
    evaluate_generation.run(trained)
    assert {v.key: v.value for v in trained.writer.record.metrics} == {v.key: v.value for v in record.metrics}


def test_a_study_that_asks_for_no_samples_measures_none(trained):
    evaluate = trained.plan.evaluate.model_copy(update={"generation": None})
    object.__setattr__(trained, "plan", trained.plan.model_copy(update={"evaluate": evaluate}))
    evaluate_generation.run(trained)
    measure_cost.run(trained)
    assert trained.writer.record.metrics == ()


def test_an_image_is_the_same_in_any_batch_and_alone(trained):
    model = SampledModel(trained, None, CfgSchedule())
    sampling = trained.plan.evaluate.generation.samplings[1]
    labels = torch.zeros(3, dtype=torch.int64)
    together = model.sample(labels, [5, 6, 7], sampling, None)
    alone = model.sample(labels[:1], [6], sampling, None)
    assert torch.equal(together[1:2], alone)
    assert torch.equal(model.sample(labels, [5, 6, 7], sampling, 2), together[:, :, :2])
    images = model.decode(together, (16, 24), None)
    assert images.shape == (3, 3, 16, 24)


def test_schedules_of_guidance():
    assert scales(scale_of(3.0, CfgSchedule(), 4), 4) == [3.0] * 4
    found = scales(scale_of(3.0, CfgSchedule(name="cosine"), 4), 4)
    assert found[0] == 3.0
    assert np.all(np.diff(found) < 0)
    assert scales(scale_of(3.0, CfgSchedule(name="interval", first=1, last=2), 4), 4) == [1.0, 3.0, 3.0, 1.0]


def test_the_cost_of_a_generator_is_measured_where_it_lacks(trained):
    measure_cost.run(trained)
    points = trained.plan.evaluate.generation.points
    values = trained.writer.record.metrics
    parts = ("", "_sampling", "_decoder")
    expected = {f"{name}{part}" for name in ("gflops", "seconds_per_image") for part in parts}
    assert _names(trained) == expected | {"num_parameters"}
    assert [v.params for v in values if v.name == "seconds_per_image"] == [point.params for point in points]
    measure_cost.run(trained)
    assert trained.writer.record.metrics == values
    trained.writer.set_stage(StageRecord(name=measure_cost.NAME, status="failed"))
    kept = tuple(v for v in values if v.params.get("resolution") != "16x24")
    trained.writer.update(metrics=kept)
    measure_cost.run(trained)
    assert trained.is_done(measure_cost.NAME)
    again = trained.writer.record.metrics
    assert {v.key for v in again} == {v.key for v in values}
    taken = [v.value for v in again if v.name == "seconds_per_image_sampling"]
    assert len(set(taken)) < len(taken), "sizes of one way of sampling are measured in one go"
    assert not set(taken) & {v.value for v in values if v.name == "seconds_per_image_sampling"}
