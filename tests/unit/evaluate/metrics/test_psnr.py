"""PSNR against scikit-image, image by image, and its cap."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from vtbench.evaluate.metrics.psnr import CAP_DB, Psnr


def test_mean_of_scikit_images_values(value_of_pairs):
    rng = np.random.default_rng(0)
    reference = rng.integers(0, 256, (4, 3, 12, 20), dtype=np.uint8)
    noise = rng.normal(size=reference.shape) * np.array([1, 5, 20, 80])[:, None, None, None]
    produced = np.clip(reference + noise, 0, 255).astype(np.uint8)
    expected = np.mean([peak_signal_noise_ratio(*pair) for pair in zip(reference, produced, strict=True)])
    assert value_of_pairs(Psnr(), torch.from_numpy(reference), torch.from_numpy(produced)) == pytest.approx(
        expected, abs=1e-9
    )


def test_known_answer(value_of_pairs):
    black = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    assert value_of_pairs(Psnr(), black, black + 255) == pytest.approx(0.0, abs=1e-12)
    assert value_of_pairs(Psnr(), black, black + 1) == pytest.approx(48.1308, abs=1e-4)


def test_identical_images_count_the_cap(value_of_pairs):
    image = torch.full((2, 3, 8, 8), 7, dtype=torch.uint8)
    assert value_of_pairs(Psnr(), image, image) == CAP_DB
