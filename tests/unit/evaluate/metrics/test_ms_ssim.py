"""MS-SSIM against a second computation by SciPy's filters."""

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.ms_ssim import MIN_SIDE, MsSsim

_EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def _blur(plane):
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    return correlate1d(correlate1d(plane, window, axis=0), window, axis=1)[5:-5, 5:-5]


def _expected(x, y):
    """Return the MS-SSIM of two planes (height, width), both even at all scales."""
    value = 1.0
    for scale, exponent in enumerate(_EXPONENTS):
        mx, my = _blur(x), _blur(y)
        vx, vy, cov = _blur((x) ** 2) - mx**2, _blur(y**2) - my**2, _blur(x * y) - mx * my
        contrast = (2 * cov + (0.03 * 255) ** 2) / (vx + vy + (0.03 * 255) ** 2)
        luminance = (2 * mx * my + (0.01 * 255) ** 2) / (mx**2 + my**2 + (0.01 * 255) ** 2)
        value *= np.mean(contrast * luminance if scale == 4 else contrast) ** exponent
        x, y = (each.reshape(len(each) // 2, 2, -1, 2).mean(axis=(1, 3)) for each in (x, y))
    return value


def test_equals_an_independent_computation(photographs, spoil):
    reference = photographs(2, 192)
    produced = spoil(reference, 10)
    expected = [
        np.mean([_expected(*planes) for planes in zip(x.astype(float), y.astype(float), strict=True)])
        for x, y in zip(reference.numpy(), produced.numpy(), strict=True)
    ]
    np.testing.assert_allclose(MsSsim().measure(reference, produced).numpy(), expected, rtol=1e-10)
    assert 0.5 < min(expected) < max(expected) < 0.99


def test_identical_images_count_one_at_the_smallest_size(photographs):
    image = photographs(1, MIN_SIDE)
    assert MIN_SIDE == 176
    assert MsSsim().measure(image, image).item() == pytest.approx(1.0, abs=1e-12)


def test_a_negative_correlation_counts_nothing(photographs):
    image = photographs(1, MIN_SIDE)
    assert MsSsim().measure(image, 255 - image).item() == 0.0


def test_worse_images_score_less(photographs, spoil, value_of_pairs):
    reference = photographs(1, 180)  # odd sizes occur on the way down
    values = [value_of_pairs(MsSsim(), reference, spoil(reference, quality)) for quality in (5, 60)]
    assert values[0] < values[1] < 1


def test_images_that_are_too_small():
    image = torch.zeros(1, 3, 175, 400, dtype=torch.uint8)
    with pytest.raises(ResolutionError, match="175x400"):
        MsSsim().measure(image, image)
