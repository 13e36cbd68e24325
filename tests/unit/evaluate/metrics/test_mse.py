"""MSE against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error

from vtbench.evaluate.metrics.mse import Mse


def test_equals_scikit_image(photographs, spoil, value_of_pairs):
    reference = photographs(3, 40)
    produced = spoil(reference, 20)
    pairs = zip(reference.numpy(), produced.numpy(), strict=True)
    expected = np.mean([mean_squared_error(*pair) for pair in pairs]) / 255**2
    assert expected > 1e-4
    assert value_of_pairs(Mse(), reference, produced) == pytest.approx(expected, rel=1e-12)


def test_black_against_white_is_one():
    white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    assert Mse().measure(torch.zeros_like(white), white).tolist() == [1.0]


def test_worse_images_score_more(photographs, spoil, value_of_pairs):
    reference = photographs(2, 40)
    values = [value_of_pairs(Mse(), reference, spoil(reference, quality)) for quality in (5, 60)]
    assert values[0] > values[1] > 0
