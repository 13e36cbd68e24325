"""Codes with errors in them, as a generator's sampling makes them: what pFID decodes.

Qiu et al. 2025 (arXiv:2503.08354), latent perturbation: tokens are replaced before decoding, to tell how a tokenizer's
decoder bears the wrong tokens that a generator will feed it. Deviations: a replaced code is drawn uniformly from all
others of its codebook, where the authors draw from the codes nearest to the encoder's output, which needs distances
that not every quantizer has; and a fixed share of every image's tokens is replaced, where they replace each token with
one probability in a share of the images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vtbench.seeding import rng


def perturbed(
    codes: Int[Tensor, "batch codebooks tokens"], share: float, codebook_sizes: Sequence[int], indices: Sequence[int]
) -> Int[Tensor, "batch codebooks tokens"]:
    """Return codes of which a share is replaced at random.

    What is replaced, and by what, depends on an image's index alone: neither batches nor ranks show.

    Args:
        codes: `0 <= code < codebook_sizes[codebook]`.
        share: of each codebook's tokens in each image, in [0, 1]; rounded to whole tokens, half up.
        codebook_sizes: number of entries of each codebook; a codebook of one entry is left alone.
        indices: of the images in the measured set.

    Raises:
        ValueError: `share` is not in [0, 1], or lengths do not fit.
    """
    batch, num_codebooks, num_tokens = codes.shape
    if not 0 <= share <= 1:
        raise ValueError(f"the share of codes to replace is between 0 and 1, not {share}")
    if len(indices) != batch or len(codebook_sizes) != num_codebooks:
        raise ValueError(
            f"codes of shape {tuple(codes.shape)} need {batch} indices and {num_codebooks} sizes,"
            f" not {len(indices)} and {len(codebook_sizes)}"
        )
    num = int(share * num_tokens + 0.5)
    shifts = np.zeros(codes.shape, dtype=np.int64)
    for row, index in zip(shifts, indices, strict=True):
        draw = rng(0, "perturbation", int(index))
        for shift, size in zip(row, codebook_sizes, strict=True):
            if size > 1:
                shift[draw.permutation(num_tokens)[:num]] = draw.integers(1, size, num)
    sizes = torch.tensor(list(codebook_sizes), device=codes.device)[:, None]
    return ((codes + torch.from_numpy(shifts).to(codes.device)) % sizes).to(codes.dtype)
