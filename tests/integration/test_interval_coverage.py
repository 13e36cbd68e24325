"""How often intervals of paired differences hold the truth, on data whose truth is known."""

import numpy as np
import pytest

from vtbench.evaluate.frechet_distance import frechet, frechet_of_rows, statistics
from vtbench.evaluate.frechet_jackknife import frechet_without_of_many
from vtbench.evaluate.statistics import block_jackknife, blocks, bootstrap_interval, crossed, mean

TRIALS = 300
COVERED = (0.92, 0.98)
DIM, NUM_IMAGES = 12, 400
NOISE, SHIFT = (0.5, 0.3), 0.1
RESAMPLES = 25  # of a right method, intervals from so few would still cover in 88 %


def _features(draw):
    """Return features of references and of two models: noise on them, and a shift in one feature of the first."""
    reference = draw.normal(size=(NUM_IMAGES, DIM))
    first, second = (reference + sd * draw.normal(size=reference.shape) for sd in NOISE)
    first[:, 0] += SHIFT
    return reference, first, second


def _true_difference():
    """Return the difference of the two distances in the limit of many images."""
    zero, one = np.zeros(DIM), np.eye(DIM)
    shifted = zero.copy()
    shifted[0] = SHIFT
    first, second = (frechet(zero, one, at, (1 + sd**2) * one) for at, sd in zip((shifted, zero), NOISE, strict=True))
    return first - second


def _difference(reference, first, second):
    """Return the difference of the two distances, and its values without each block."""
    of_reference = statistics(reference)
    values = [frechet_of_rows(reference, rows) for rows in (first, second)]
    without = [
        frechet_without_of_many(of_reference, statistics(rows), (reference, rows), blocks(NUM_IMAGES))
        for rows in (first, second)
    ]
    return values[0] - values[1], np.subtract(*without).tolist()


def _naive_bootstrap(draw, reference, first, second):
    values = []
    for _ in range(RESAMPLES):
        drawn = draw.integers(0, NUM_IMAGES, NUM_IMAGES)
        values.append(
            frechet_of_rows(reference[drawn], first[drawn]) - frechet_of_rows(reference[drawn], second[drawn])
        )
    return np.quantile(values, [0.025, 0.975])


@pytest.fixture(scope="module")
def frechet_trials():
    """Differences, intervals at this number of images and in the limit, and the naive bootstrap's, one a trial."""
    draw = np.random.default_rng(2026)
    found = []
    for _ in range(TRIALS):
        sides = _features(draw)
        value, without = _difference(*sides)
        at_limit = block_jackknife(value, without, at_limit=True).interval
        found.append((value, block_jackknife(value, without).interval, at_limit, _naive_bootstrap(draw, *sides)))
    return found


def _share(truth, intervals):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.slow
def test_jackknife_intervals_of_a_frechet_difference_cover_and_the_naive_bootstrap_does_not(frechet_trials):
    values, here, at_limit, naive = zip(*frechet_trials, strict=True)
    assert COVERED[0] <= _share(np.mean(values), here) <= COVERED[1]  # the truth at this number of images
    assert COVERED[0] <= _share(_true_difference(), at_limit) <= COVERED[1]
    assert _share(np.mean(values), naive) < 0.8
    assert _share(_true_difference(), naive) < 0.5


@pytest.mark.slow
def test_the_difference_in_the_limit_is_free_of_the_bias_of_few_images(frechet_trials):
    values, _, at_limit, _ = zip(*frechet_trials, strict=True)
    truth = _true_difference()
    bias = np.mean(values) - truth
    left = np.mean([sum(interval) / 2 for interval in at_limit]) - truth
    assert bias > 0.1 * truth
    assert abs(left) < 0.15 * bias


def test_intervals_of_a_difference_of_psnr_cover():
    # images differ in difficulty by 3 dB, which both models share; the first is better by 0.2 dB, not everywhere
    draw = np.random.default_rng(0)
    by_t, by_bootstrap, unpaired = [], [], []
    for _ in range(TRIALS):
        difficulty = draw.normal(25.0, 3.0, 250)
        gain = draw.gamma(2.0, 0.35, 250) - 0.5
        noise = draw.normal(0.0, 0.2, (2, 250))
        first, second = difficulty + gain + noise[0], difficulty + noise[1]
        by_t.append(mean(first - second).interval)
        by_bootstrap.append(bootstrap_interval(first - second))
        error = np.sqrt(first.var(ddof=1) / 250 + second.var(ddof=1) / 250)
        unpaired.append((first.mean() - second.mean() - 1.96 * error, first.mean() - second.mean() + 1.96 * error))
    assert COVERED[0] <= _share(0.2, by_t) <= COVERED[1]
    assert COVERED[0] <= _share(0.2, by_bootstrap) <= COVERED[1]
    assert _share(0.2, unpaired) > 0.99  # so wide that it says nothing: images must be paired


@pytest.mark.parametrize("sd_of_images", [0.0, 0.5, 2.0, 10.0])
def test_intervals_over_seeds_and_images_cover_whatever_varies_more(sd_of_images):
    # three seeds on the same 100 images: a part of each seed, one of each image, and one of both
    draw = np.random.default_rng(int(10 * sd_of_images))
    together, seeds_alone = [], []
    for _ in range(600):
        of_image = draw.normal(0.0, sd_of_images, 100) * np.sqrt(100 / 3)
        of_both = draw.normal(0.0, sd_of_images / 2, (3, 100)) * np.sqrt(100 / 3)
        differences = draw.normal(0.0, 1.0, (3, 1)) + of_image + of_both
        by_seed = differences.mean(axis=1).tolist()
        together.append(crossed(by_seed, mean(differences.mean(axis=0))).interval)
        seeds_alone.append(mean(by_seed).interval)
    assert 0.93 <= _share(0.0, together) <= 0.995
    if sd_of_images >= 2:
        assert _share(0.0, seeds_alone) < 0.9  # other images would have given another answer
