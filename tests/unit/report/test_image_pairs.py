"""Arms compared image by image, from rows that lie in a real store."""

import numpy as np
import pytest
from scipy import stats

from vtbench.evaluate.kept_rows import KeptRows, point_name, write_index
from vtbench.report.comparison import compare, image_pair
from vtbench.report.gather import gather, load
from vtbench.report.image_pairs import image_pairs
from vtbench.report.results import Point, Results
from vtbench.schema.record import MetricValue
from vtbench.store import query

NUM_IMAGES = 60
AT = Point("96x96", None)
LEVEL = {"rope": 9.5, "rope_learned": 9.6, "grid": 11.0, "grid_adaptive": 12.0}


def _numbers(arm, seed):
    shared = np.random.default_rng(7).normal(0.0, 2.0, NUM_IMAGES)
    own = np.random.default_rng([seed, *map(ord, arm)]).normal(0.0, 0.3, NUM_IMAGES)
    return LEVEL[arm] + 0.05 * seed + shared + own


def _keep(store, run_id, numbers, params, protocol="0123456789ab", stated=None):
    """Write rows and their index as an evaluation does; return the value."""
    value = MetricValue(
        name="psnr",
        metric_version=1,
        value=float(numbers.mean()) if stated is None else stated,
        num_samples=len(numbers),
        params=params,
        protocol=protocol,
        checkpoint="last",
    )
    kept = KeptRows(store.measured_dir(run_id) / point_name("96x96", None), {"checkpoint": "last"}, 1)
    kept.write_chunk(kept.chunk_path(0, ["psnr"]), {"psnr": numbers}, "digest")
    kept.finish(["psnr"], len(numbers))
    write_index(kept.folder, value, {"psnr": [kept.path("psnr")]})
    return value


@pytest.fixture
def study(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0, 1), leave_out=tuple(synthetic.plan(seeds=(0, 1)).runs))
    params = {"resolution": "96x96", "num_tokens": None}
    for cell in plan.cells:
        value = _keep(store, cell.run_id, _numbers(cell.arm, cell.seed), params)
        synthetic.run(store, plan, cell, values=[value])
    return store, plan


def _pairs(store, plan):
    return image_pairs(store, plan, query.load_records(store, plan))


def test_each_arm_meets_the_reference_and_the_extremes(study):
    found = {(pair.first, pair.other): pair for pair in _pairs(*study)}
    arms = {(first[0][:-2], other[0][:-2]) for first, other in found}
    assert arms == {
        ("rope_learned", "rope"),
        ("grid", "rope"),
        ("grid_adaptive", "rope"),
        ("rope_learned", "grid_adaptive"),
        ("grid", "grid_adaptive"),
    }


def test_the_numbers_of_a_pair(study):
    pair = next(pair for pair in _pairs(*study) if pair.first[0] == "grid-0" and pair.other[0] == "rope-0")
    differences = np.mean([_numbers("grid", seed) - _numbers("rope", seed) for seed in (0, 1)], axis=0)
    assert (pair.first, pair.other) == (("grid-0", "grid-1"), ("rope-0", "rope-1"))
    assert (pair.metric, pair.resolution, pair.num_tokens, pair.num_images) == ("psnr", "96x96", None, NUM_IMAGES)
    assert pair.difference == pytest.approx(differences.mean())
    assert pair.standard_error == pytest.approx(stats.sem(differences))
    assert pair.p_value == pytest.approx(stats.wilcoxon(differences).pvalue)
    assert pair.share_higher == (differences > 0).mean()
    assert pair.low < pair.difference < pair.high
    assert pair.standardised == pytest.approx(differences.mean() / differences.std(ddof=1))


def test_a_report_takes_them_along_and_turns_them_round(study, tmp_path):
    store, plan = study
    gather(store, plan.id, tmp_path / "out")
    results = Results(load(tmp_path / "out"))
    rows = {row.arm: row for row in results.rows}
    there = image_pair(results, rows["grid"], rows["rope"], "psnr", AT)
    back = image_pair(results, rows["rope"], rows["grid"], "psnr", AT)
    assert (back.difference, back.low, back.high) == (-there.difference, -there.high, -there.low)
    assert (back.share_higher, back.rank_biserial) == (there.share_lower, -there.rank_biserial)
    assert image_pair(results, rows["grid"], rows["rope_learned"], "psnr", AT) is None
    found = compare(results, rows["grid"], rows["rope"], "psnr", AT)
    assert found.over == "seeds and images"
    assert found.estimate.standard_error > there.standard_error


def test_rows_that_are_not_what_the_value_averages_are_left_alone(study, synthetic):
    store, plan = study
    params = {"resolution": "96x96", "num_tokens": None}
    value = _keep(store, "grid-0", _numbers("grid", 0), params, stated=3.0)
    records = query.load_records(store, plan)
    records["grid-0"] = records["grid-0"].model_copy(update={"metrics": (value,)})
    firsts = {pair.first for pair in image_pairs(store, plan, records)}
    assert ("grid-1",) in firsts  # the other seed still counts
    assert ("grid-0", "grid-1") not in firsts


def test_values_of_two_protocols_are_not_paired(study):
    store, plan = study
    params = {"resolution": "96x96", "num_tokens": None}
    records = query.load_records(store, plan)
    for seed in (0, 1):
        value = _keep(store, f"grid-{seed}", _numbers("grid", seed), params, protocol="ba9876543210")
        records[f"grid-{seed}"] = records[f"grid-{seed}"].model_copy(update={"metrics": (value,)})
    assert not any("grid-0" in (*pair.first, *pair.other) for pair in image_pairs(store, plan, records))


def test_without_rows_there_are_no_pairs(full_store):
    store, plan = full_store
    assert image_pairs(store, plan, query.load_records(store, plan)) == ()
