"""How many bits a pixel JPEG needs to be as close to the image: a classical yardstick for a tokenizer's rate.

For each pair, JPEG's quality is searched by bisection (Pillow's encoder, 4:2:0 subsampling, default tables, optimised
Huffman codes) for the two neighbouring qualities between whose PSNR the reconstruction's lies; the bits of the whole
file, headers included, are interpolated linearly in dB. A reconstruction worse than quality `MIN_QUALITY` counts that
quality's bits, one better than `MAX_QUALITY` that one's. At the lowest qualities PSNR does not always grow with
quality; where several qualities fit, the bisection's counts.

One-D-Piece (arXiv:2501.10064) compares rates with JPEG and WebP in the same way. Headers weigh about 600 bytes,
which at 64x64 is more than a bit a pixel: compare at one resolution only.
"""

from __future__ import annotations

import io
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import Float64, UInt8
from PIL import Image
from torch import Tensor

from vtbench.evaluate.metric import Value
from vtbench.evaluate.metrics.per_image import PerImageMetric
from vtbench.evaluate.metrics.psnr import CAP_DB

MIN_QUALITY, MAX_QUALITY = 1, 95
"""Pillow's documentation advises against qualities above 95: they switch parts of the compression off."""


class JpegBitsPerPixel(PerImageMetric):
    """Mean bits a pixel of the JPEG files with the reconstructions' PSNR."""

    name = "jpeg_bits_per_pixel"
    title = "JPEG-equivalent rate"
    unit = "bits/pixel"
    higher_is_better = True
    source = "bits a pixel of the JPEG file of equal PSNR, interpolated between qualities; Pillow, 4:2:0, with headers"
    value_range = (0.0, math.inf)
    equation = r"R_\mathrm{JPEG}(\mathrm{PSNR}(x, \hat x))"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return how the files are made."""
        return {"encoder": "Pillow JPEG 4:2:0, optimised", "min_quality": MIN_QUALITY, "max_quality": MAX_QUALITY}

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the bits a pixel of each pair."""
        errors = (reference.int() - produced.int()).square().double().mean(dim=(1, 2, 3)).tolist()
        images = reference.permute(0, 2, 3, 1).cpu().numpy()
        # Pillow lets other threads run while it encodes and decodes
        with ThreadPoolExecutor(torch.get_num_threads()) as threads:
            bits = list(threads.map(equivalent_bits, images, map(_psnr, errors)))
        pixels = reference.shape[-2] * reference.shape[-1]
        return torch.tensor(bits, dtype=torch.float64, device=reference.device) / pixels


def equivalent_bits(image: UInt8[np.ndarray, "height width 3"], psnr_db: float) -> float:
    """Return the bits of the JPEG file of `image` that has this PSNR in dB, interpolated between qualities."""
    low, high = MIN_QUALITY, MAX_QUALITY
    worst = _encode(image, low)
    if psnr_db <= worst[1]:
        return worst[0]
    best = _encode(image, high)
    if psnr_db >= best[1]:
        return best[0]
    while high - low > 1:
        middle = (low + high) // 2
        found = _encode(image, middle)
        if found[1] <= psnr_db:
            low, worst = middle, found
        else:
            high, best = middle, found
    return worst[0] + (best[0] - worst[0]) * (psnr_db - worst[1]) / (best[1] - worst[1])


def _encode(image: UInt8[np.ndarray, "height width 3"], quality: int) -> tuple[float, float]:
    """Return bits and PSNR in dB of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="jpeg", quality=quality, subsampling="4:2:0", optimize=True)
    decoded = np.asarray(Image.open(file)).astype(np.float64)
    return 8.0 * file.tell(), _psnr(float(np.square(decoded - image).mean()))


def _psnr(squared_error: float) -> float:
    return CAP_DB if squared_error == 0 else min(10 * math.log10(255**2 / squared_error), CAP_DB)
