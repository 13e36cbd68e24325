"""SSIM against scikit-image."""

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics import ssim
from vtbench.evaluate.metrics.ssim import Ssim


@pytest.mark.parametrize("size", [(11, 11), (24, 37), (64, 48), (130, 150)])
@pytest.mark.parametrize("noise", [2, 30])
def test_equals_scikit_image(value_of_pairs, size, noise):
    rng = np.random.default_rng(1)
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(1, 1, *size)
    reference = np.clip(ramp + rng.normal(size=(3, 3, *size)) * 20, 0, 255).astype(np.uint8)
    produced = np.clip(reference + rng.normal(size=reference.shape) * noise, 0, 255).astype(np.uint8)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    pairs = zip(reference, produced, strict=True)
    expected = np.mean([structural_similarity(*pair, channel_axis=0, **options) for pair in pairs])
    found = value_of_pairs(Ssim(), torch.from_numpy(reference), torch.from_numpy(produced))
    assert found == pytest.approx(expected, abs=1e-12)


def test_identical_images_count_one(value_of_pairs):
    image = torch.randint(0, 256, (1, 3, 16, 16), dtype=torch.uint8)
    assert value_of_pairs(Ssim(), image, image) == pytest.approx(1.0, abs=1e-12)


def test_strips_and_groups_do_not_show(monkeypatch):
    x, y = torch.randint(0, 256, (2, 5, 3, 40, 24), dtype=torch.uint8)
    whole = Ssim().measure(x, y)
    monkeypatch.setitem(ssim._PIXELS, "cpu", 24 * 7)
    torch.testing.assert_close(Ssim().measure(x, y), whole, rtol=1e-13, atol=0)


def test_image_below_the_window_is_an_error():
    image = torch.zeros(1, 3, 10, 64, dtype=torch.uint8)
    with pytest.raises(ResolutionError, match="10x64"):
        Ssim().measure(image, image)
