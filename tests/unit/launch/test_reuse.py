import pytest

from vtbench.evaluate import METRICS
from vtbench.launch.reuse import asked_values, done_runs, is_done, num_samples
from vtbench.schema.record import MetricValue, Provenance, RunRecord
from vtbench.store.layout import Store
from vtbench.store.query import load_record
from vtbench.store.writer import RunWriter


@pytest.fixture
def plan(make_plan):
    return make_plan(evaluate__num_tokens=[None, 2])


@pytest.fixture
def record(plan):
    values = [
        MetricValue(
            name=name,
            metric_version=METRICS.load(name).version,
            value=1.0,
            num_samples=4,
            params={"resolution": "16x16", "num_tokens": num_tokens},
            protocol="p",
            checkpoint="c",
        )
        for name in ("psnr", "mae")
        for num_tokens in (None, 2)
    ]
    return RunRecord(
        spec=next(iter(plan.runs.values())),
        status="done",
        metrics=tuple(values),
        provenance=Provenance(commit=None, dirty_hash=None, packages={}, hardware="", command="", started=""),
    )


def test_a_run_with_all_values_is_done(plan, record):
    assert is_done(plan, record)


def test_no_record_or_an_unfinished_one_is_not(plan, record):
    assert not is_done(plan, None)
    assert not is_done(plan, record.model_copy(update={"status": "interrupted"}))


@pytest.mark.parametrize("missing", range(4))
def test_a_missing_value_is_to_be_measured(plan, record, missing):
    kept = tuple(value for index, value in enumerate(record.metrics) if index != missing)
    assert not is_done(plan, record.model_copy(update={"metrics": kept}))


@pytest.mark.parametrize("change", [{"metric_version": 0}, {"num_samples": 3}])
def test_a_value_of_another_version_or_sample_does_not_count(plan, record, change):
    changed = (record.metrics[0].model_copy(update=change), *record.metrics[1:])
    assert not is_done(plan, record.model_copy(update={"metrics": changed}))


def test_all_runs_at_once_are_judged_like_one(plan, record, tmp_path):
    store = Store(tmp_path)
    first, second = plan.runs
    for run_id, metrics in ((first, record.metrics), (second, record.metrics[1:])):
        with RunWriter(store, plan.runs[run_id], record.provenance) as writer:
            writer.add_metrics(list(metrics))
            assert run_id not in done_runs(store, plan)
            writer.update(status="done")
        assert is_done(plan, load_record(store, run_id)) == (run_id == first)
    assert done_runs(store, plan) == {first}


def test_a_generator_is_asked_for_samples_and_its_tokenizer_for_reconstructions(make_generator_plan):
    generation = {"resolutions": ["16x16", "32x32"], "cfg_scale": [1.0, 2.0], "num_samples": 4}
    plan = make_generator_plan(evaluate__generation=generation)
    plan = plan.model_copy(update={"metrics": ("psnr", "gfd_effnet")})
    generator = plan.runs[plan.cells[0].run_id].config
    asked = asked_values(plan, generator)
    assert {name for name, _, _ in asked} == {"gfd_effnet"}
    assert len(asked) == 4
    assert {name for name, _, _ in asked_values(plan, generator.of_tokenizer())} == {"psnr"}
    assert num_samples(plan, generator) == 4
    grid = generator.generator.model.model_copy(update={"grid_size": [2, 2]})
    of_grid = generator.generator.model_copy(update={"model": grid})
    assert {point.resolution for point in of_grid.points(plan.evaluate.generation)} == {"16x16"}
