"""Error where the detail is: PSNR and mean absolute error in the tiles of highest frequency.

The mean error of an image is ruled by its smooth areas, which every tokenizer gets right. Each reference image is cut
into tiles of 16x16 pixels; a tile's detail is the mean square of its luma's discrete Laplacian (4 neighbours, edges
repeated), which grows with the square of the spatial frequency. The quarter of the tiles with most detail, at least
one, is compared; of equal tiles the first counts. Pixels beyond the last whole tile are left out.

The measure is this project's own, after TokBench's (arXiv:2505.18142) finding that text and faces are lost first.
"""

from __future__ import annotations

import math
from abc import abstractmethod

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor
from torch.nn import functional as F

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.per_image import PerImageMetric
from vtbench.evaluate.metrics.psnr import CAP_DB

TILE = 16
SHARE = 0.25
_LUMA = (0.299, 0.587, 0.114)


class _DetailMetric(PerImageMetric):
    """A measure of the errors in the tiles with most detail."""

    @classmethod
    def protocol(cls) -> dict[str, str | int | float | bool]:
        """Return the tiles' side and how many of them count."""
        return {"tile": TILE, "share_of_tiles": SHARE}

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the measure of each pair.

        Raises:
            ResolutionError: not even one tile fits into the images.
        """
        height, width = reference.shape[-2:]
        if min(height, width) < TILE:
            raise ResolutionError(
                f"{self.title} needs images of at least {TILE}x{TILE} pixels, not {height}x{width}."
                " Leave the metric or this resolution out."
            )
        detail = _tiles(_squared_laplacian(reference)).mean(dim=-1)
        num = max(1, math.ceil(SHARE * detail.shape[1]))
        chosen = detail.argsort(dim=1, descending=True, stable=True)[:, :num, None]
        errors = _tiles((reference.int() - produced.int()).double())
        return self._summary(errors.gather(1, chosen.expand(-1, -1, errors.shape[-1])))

    @abstractmethod
    def _summary(self, errors: Float64[Tensor, "batch tiles pixels"]) -> Float64[Tensor, " batch"]:
        """Return the measure of each image from its errors, in steps of 1/255."""


class PsnrDetail(_DetailMetric):
    """Mean PSNR in dB of the tiles with most detail, each image capped as in `psnr`."""

    name = "psnr_detail"
    title = "PSNR (detail)"
    unit = "dB"
    higher_is_better = True
    source = "PSNR over the quarter of 16x16 tiles with the largest mean squared Laplacian in the reference"
    value_range = (0.0, CAP_DB)
    equation = r"10 \log_{10}(255^2 / \mathrm{mean}_{t \in T}\,(x_t - \hat x_t)^2)"

    def _summary(self, errors: Float64[Tensor, "batch tiles pixels"]) -> Float64[Tensor, " batch"]:
        return (10 * torch.log10(255**2 / errors.square().mean(dim=(1, 2)))).clamp(max=CAP_DB)


class MaeDetail(_DetailMetric):
    """Mean absolute error in the tiles with most detail, on the scale [0, 1]."""

    name = "mae_detail"
    title = "MAE (detail)"
    unit = "pixels in [0, 1]"
    higher_is_better = False
    source = "mean |difference| / 255 over the quarter of 16x16 tiles with the largest mean squared Laplacian"
    value_range = (0.0, 1.0)
    equation = r"\mathrm{mean}_{t \in T}\,|x_t - \hat x_t| / 255"

    def _summary(self, errors: Float64[Tensor, "batch tiles pixels"]) -> Float64[Tensor, " batch"]:
        return errors.abs().mean(dim=(1, 2)) / 255


def _squared_laplacian(images: UInt8[Tensor, "batch 3 height width"]) -> Float64[Tensor, "batch 1 height width"]:
    luma = sum(weight * images[:, channel].double() for channel, weight in enumerate(_LUMA))
    padded = F.pad(torch.as_tensor(luma)[:, None], (1, 1, 1, 1), mode="replicate")
    neighbours = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    laplacian: Tensor = neighbours - 4 * padded[..., 1:-1, 1:-1]
    return laplacian.square()


def _tiles(images: Float64[Tensor, "batch channels height width"]) -> Float64[Tensor, "batch tiles pixels"]:
    """Return whole tiles, row by row, each with all its channels' pixels."""
    batch, channels, height, width = images.shape
    down, across = height // TILE, width // TILE
    whole = images[..., : down * TILE, : across * TILE].reshape(batch, channels, down, TILE, across, TILE)
    return whole.permute(0, 2, 4, 1, 3, 5).reshape(batch, down * across, channels * TILE * TILE)
