"""Comparisons of arms on a synthetic study whose noise is known."""

import math

import numpy as np
import pytest

from vtbench.evaluate.statistics import block_jackknife, crossed
from vtbench.report.comparison import against_reference, compare, corrected, winners
from vtbench.report.gather import gather, load
from vtbench.report.results import RUN, Point, Results

FAR = Point("96x96", None)
NEAR = Point("32x32", None)


@pytest.fixture(scope="module")
def results(full_report):
    return Results(load(full_report))


def _row(results, arm):
    return next(row for row in results.rows if row.arm == arm)


def test_a_distance_holds_for_other_seeds_and_other_images(results):
    grid, rope = _row(results, "grid"), _row(results, "rope")
    found = compare(results, grid, rope, "rfd_effnet", FAR)
    pairs = [
        (results.value(grid, seed, "rfd_effnet", FAR), results.value(rope, seed, "rfd_effnet", FAR))
        for seed in range(3)
    ]
    differences = [one.value - two.value for one, two in pairs]
    blocks = np.mean([np.subtract(one.without_blocks, two.without_blocks) for one, two in pairs], axis=0)
    expected = crossed(differences, block_jackknife(float(np.mean(differences)), blocks.tolist()))
    assert found.over == "seeds and images"
    assert found.estimate.interval == pytest.approx(expected.interval)
    assert found.share == pytest.approx(sum(differences) / sum(two.value for _, two in pairs))
    assert found.at_limit is not None


def test_what_has_neither_rows_nor_blocks_holds_for_seeds_alone(results):
    found = compare(results, _row(results, "grid"), _row(results, "rope"), "psnr", FAR)
    assert found.over == "seeds"
    assert found.num_seeds == 3
    assert found.at_limit is None


def test_the_reference_arm_is_compared_with_all_others_and_p_corrected(results):
    found = against_reference(results, "rfd_effnet", FAR)
    assert [each.row.arm for each in found] == ["rope_learned", "grid", "grid_adaptive"]
    assert {each.other.arm for each in found} == {"rope"}
    raw = [each.estimate.p_value for each in found]
    assert max(each.p_adjusted for each in found) >= max(raw)
    assert min(each.p_adjusted for each in found) == pytest.approx(3 * min(raw))
    adaptive = found[2]
    assert adaptive.claimed
    assert adaptive.is_better


def test_a_direction_is_needed_for_better_and_for_a_winner(results):
    found = compare(results, _row(results, "grid"), _row(results, "rope"), "num_parameters", RUN)
    assert found.is_better is None
    assert winners(results, "num_parameters", RUN) == set()


def test_a_winner_beats_every_arm(results):
    assert winners(results, "rfd_effnet", FAR) == {"Dynamic grid + adaptive patch"}
    # at the smallest size all arms are alike but for noise
    assert winners(results, "rfd_effnet", NEAR) == set()


def test_one_seed_claims_nothing_however_small_its_p(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    results = Results(gather(store, plan.id, tmp_path / "out"))
    adaptive = against_reference(results, "rfd_effnet", FAR)[-1]
    assert adaptive.over == "images"
    assert adaptive.p_adjusted < 0.001
    assert not adaptive.claimed
    assert winners(results, "rfd_effnet", FAR) == set()


def test_arms_without_a_common_seed_are_not_compared(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0, 1), leave_out=("rope-0", "grid-1"))
    results = Results(gather(store, plan.id, tmp_path / "out"))
    assert compare(results, _row(results, "grid"), _row(results, "rope"), "psnr", FAR) is None
    lone = compare(results, _row(results, "rope_learned"), _row(results, "rope"), "psnr", FAR)
    assert lone.num_seeds == 1
    assert math.isnan(corrected([lone])[0].p_adjusted)
    assert not corrected([lone])[0].claimed
