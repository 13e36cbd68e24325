"""A generator that repeats training images is told from one that makes images like unseen ones."""

import numpy as np
import pytest

from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.memorisation import Memorisation, nearer


def _value(produced, reference, held_out):
    rows = {Memorisation.produced().key: produced, Memorisation.reference().key: reference}
    return Memorisation(held_out).compute(Measured(rows, len(produced), paired=False))


@pytest.fixture
def images():
    draw = np.random.default_rng(0)
    return [draw.normal(size=(num, 8)).astype(np.float32) for num in (300, 200, 200)]


def test_images_like_unseen_ones_are_near_one_half(images):
    reference, held_out, produced = images
    found = _value(produced, reference, held_out)
    assert found.value == pytest.approx(0.5, abs=0.06)
    assert found.interval[0] < 0.5 < found.interval[1]
    assert len(found.without_blocks) == 10


def test_copies_come_out_as_one_and_bad_images_as_zero(images):
    reference, held_out, produced = images
    assert _value(reference[:100] + 1e-4, reference, held_out).value > 0.99
    assert _value(produced + 30, reference, held_out).value == 0


def test_ties_count_half():
    assert nearer(np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0])).tolist() == [1.0, 0.75, 0.25, 0.0]
