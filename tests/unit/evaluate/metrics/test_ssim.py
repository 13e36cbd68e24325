"""SSIM against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.ssim import Ssim


@pytest.mark.parametrize("size", [(11, 11), (24, 37), (64, 48)])
@pytest.mark.parametrize("noise", [2, 30])
def test_equals_scikit_image(size, noise):
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(1, 1, *size)
    reference = np.clip(ramp + rng.normal(size=(3, 3, *size)) * 20, 0, 255).astype(np.uint8)
    produced = np.clip(reference + rng.normal(size=reference.shape) * noise, 0, 255).astype(np.uint8)
    metric = Ssim()
    metric.update(torch.from_numpy(reference), torch.from_numpy(produced))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    pairs = zip(reference, produced, strict=True)
    expected = np.mean([structural_similarity(*pair, channel_axis=0, **options) for pair in pairs])
    assert metric.compute() == pytest.approx(expected, abs=1e-6)


def test_identical_images_count_one():
    image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    metric = Ssim()
    metric.update(image, image)
    assert metric.compute() == pytest.approx(1.0, abs=1e-12)


def test_image_below_the_window_is_an_error():
    image = torch.zeros(1, 3, 10, 64, dtype=torch.uint8)
    with pytest.raises(ResolutionError, match="10x64"):
        Ssim().update(image, image)
