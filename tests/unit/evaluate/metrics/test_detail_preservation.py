"""Detail is measured where it is: in the tiles of highest frequency."""

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.detail_preservation import MaeDetail, PsnrDetail
from vtbench.evaluate.metrics.psnr import Psnr


def _one_busy_tile():
    """Return an image of 2 x 2 tiles, flat but for a chessboard in the last."""
    image = torch.full((1, 3, 32, 32), 128, dtype=torch.uint8)
    chessboard = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 255
    image[:, :, 16:, 16:] = chessboard.byte()
    return image


def test_only_errors_in_the_busiest_tiles_count():
    image = _one_busy_tile()
    smooth_error, detail_error = image.clone(), image.clone()
    smooth_error[:, :, :15, :15] = 0
    detail_error[:, :, 16:, 16:] = 128
    assert MaeDetail().measure(image, smooth_error).item() == 0.0
    assert PsnrDetail().measure(image, smooth_error).item() == 100.0
    assert MaeDetail().measure(image, detail_error).item() == pytest.approx(127.5 / 255)


def test_a_quarter_of_the_tiles_is_scikit_images_psnr_of_them(photographs, spoil):
    reference = photographs(1, 70)  # 4 x 4 whole tiles, the rest is left out
    produced = spoil(reference, 20)
    luma = np.einsum("c,chw->hw", [0.299, 0.587, 0.114], reference[0].numpy().astype(float))
    padded = np.pad(luma, 1, mode="edge")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * luma
    places = [(top, left) for top in range(0, 64, 16) for left in range(0, 64, 16)]
    detail = [np.mean(laplacian[top : top + 16, left : left + 16] ** 2) for top, left in places]
    best = [places[index] for index in np.argsort(detail)[-4:]]
    cut = [
        np.concatenate([image[0, :, top : top + 16, left : left + 16].numpy() for top, left in best])
        for image in (reference, produced)
    ]
    assert PsnrDetail().measure(reference, produced).item() == pytest.approx(peak_signal_noise_ratio(*cut), rel=1e-9)
    expected = np.abs(cut[0].astype(float) - cut[1]).mean() / 255
    assert MaeDetail().measure(reference, produced).item() == pytest.approx(expected, rel=1e-9)


def test_jpeg_spoils_detail_more_than_the_whole(photographs, spoil):
    reference = photographs(8, 96)
    produced = spoil(reference, 30)
    assert PsnrDetail().measure(reference, produced).mean() < Psnr().measure(reference, produced).mean()


def test_worse_images_move_both_in_their_direction(photographs, spoil, value_of_pairs):
    reference = photographs(2, 64)
    bad, good = spoil(reference, 5), spoil(reference, 70)
    assert value_of_pairs(PsnrDetail(), reference, bad) < value_of_pairs(PsnrDetail(), reference, good)
    assert value_of_pairs(MaeDetail(), reference, bad) > value_of_pairs(MaeDetail(), reference, good)


def test_images_without_a_tile():
    image = torch.zeros(1, 3, 15, 64, dtype=torch.uint8)
    with pytest.raises(ResolutionError, match="15x64"):
        PsnrDetail().measure(image, image)


def test_the_protocol_says_what_detail_is():
    assert PsnrDetail.protocol() == {"tile": 16, "share_of_tiles": 0.25}
