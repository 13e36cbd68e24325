"""Codebook metrics have known answers."""

import math

import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate.metric import CODES, Measured
from vtbench.evaluate.metrics import codebook
from vtbench.evaluate.metrics.codebook import (
    CodebookEntropy,
    CodebookPerplexity,
    CodebookUsage,
    CodebookZipfSlope,
    code_counts,
    entropy,
    perplexity,
    usage,
    zipf_slope,
)

ALL = (CodebookUsage, CodebookEntropy, CodebookPerplexity, CodebookZipfSlope)


def _measured(codes, sizes):
    return Measured({CODES.key: np.asarray(codes, dtype=np.int32)}, codebook_sizes=sizes)


def test_even_use_of_half_the_entries():
    counts = np.array([7, 7, 7, 7, 0, 0, 0, 0])
    assert usage(counts) == 0.5
    assert entropy(counts) == pytest.approx(2.0)
    assert perplexity(counts) == pytest.approx(4.0)
    assert zipf_slope(counts) == pytest.approx(0.0)


def test_entropy_of_a_known_distribution():
    counts = np.array([2, 1, 1])
    assert entropy(counts) == pytest.approx(1.5)
    assert perplexity(counts) == pytest.approx(2**1.5)


@pytest.mark.parametrize("slope", [-1.0, -0.5, -2.0])
def test_slope_of_zipfs_law(slope):
    counts = np.round(1e9 * np.arange(1, 101) ** slope).astype(int)
    assert zipf_slope(np.random.default_rng(0).permutation(counts)) == pytest.approx(slope, abs=1e-3)


def test_collapsed_codebook():
    counts = np.array([0, 9, 0, 0])
    assert (usage(counts), entropy(counts), perplexity(counts)) == (0.25, 0.0, 1.0)
    assert math.copysign(1, entropy(counts)) == 1
    assert math.isnan(zipf_slope(counts))


def test_each_codebook_counts_by_itself(monkeypatch):
    codes = np.array([[[0, 1], [2, 2]], [[0, 1], [2, 2]], [[2, 1], [2, 0]]])
    monkeypatch.setattr(codebook, "_IMAGES", 2)
    first, second = code_counts(codes, (3, 4))
    assert first.tolist() == [2, 3, 1]
    assert second.tolist() == [1, 0, 5, 0]


def test_value_is_the_mean_and_params_are_each():
    codes = np.array([[[0, 1, 2, 3], [0, 0, 1, 1]]])
    result = CodebookEntropy().compute(_measured(codes, (4, 4)))
    assert result.value == pytest.approx(1.5)
    assert result.params == pytest.approx({"codebook_0": 2.0, "codebook_1": 1.0})


def test_a_codebook_without_slope_is_left_out():
    codes = np.array([[[0, 0, 0, 0], [0, 0, 1, 2]]])
    result = CodebookZipfSlope().compute(_measured(codes, (4, 4)))
    assert result.value < 0
    assert set(result.params) == {"codebook_1"}
    with pytest.raises(DataError, match="single entry"):
        CodebookZipfSlope().compute(_measured(np.zeros((3, 2, 4)), (4, 4)))


@pytest.mark.parametrize("metric", ALL)
def test_uneven_codes_score_less(metric):
    draw = np.random.default_rng(0)
    even = draw.integers(0, 64, (50, 1, 16))
    uneven = np.minimum(draw.geometric(0.2, (50, 1, 16)) - 1, 63)
    assert metric.higher_is_better
    assert metric().compute(_measured(uneven, (64,))).value < metric().compute(_measured(even, (64,))).value


@pytest.mark.parametrize("metric", ALL)
def test_codes_that_do_not_fit_are_refused(metric):
    codes = np.array([[[0, 4]]])
    with pytest.raises(DataError, match="4 entries"):
        metric().compute(_measured(codes, (4,)))
    with pytest.raises(DataError, match="do not fit 2"):
        metric().compute(_measured(codes, (8, 8)))
    with pytest.raises(DataError, match="number of entries"):
        metric().compute(_measured(codes, None))
    with pytest.raises(DataError, match="at least one image"):
        metric().compute(_measured(np.zeros((0, 1, 2)), (4,)))
