"""Patch embeddings: one kernel a patch size, or one kernel for all of them.

`AdaptivePatchEmbed` keeps one base kernel and derives the kernel of any patch size from it (VibeToken's slides, after
FlexiViT, Beyer et al. 2023):

- `bilinear` (slides, our default): the kernel is resized bilinearly, half-pixel, without antialiasing, and scaled by
  the ratio of the areas, so that a constant image gets the same embedding at every size; the slides promise "consistent
  features across patch sizes", and without the scale a patch of 8 would answer with a sixteenth of a patch of 32.
- `pinv` (the official code): FlexiViT's pseudo-inverse resize (section 3.4). With B the matrix that resizes an image
  from the base size to the patch size, the kernel is `pinv(B^T) w`. For patches larger than the base, an enlarged patch
  keeps its embedding exactly. For smaller ones it is only the nearest fit, and most base weights drop out (32 -> 8
  keeps 4 of 16).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.models.nn.precision import full_precision
from vtbench.models.nn.transformer import WeightInit, init_weight

KernelResize = Literal["bilinear", "pinv"]


class FixedPatchEmbed(nn.Module):
    """A square convolution kernel with stride equal to its size."""

    def __init__(self, width: int, patch_size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, patch_size, stride=patch_size)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], patch: tuple[int, int]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Embed patches; `patch` is the fixed size and only there to share a signature."""
        return self.conv(images)


@lru_cache(maxsize=64)
def pinv_matrix(base: int, patch: tuple[int, int]) -> Float[Tensor, "patch_pixels base_pixels"]:
    """Return the matrix that takes a flat base x base kernel to a flat kernel of size `patch`, fp32 on the CPU."""
    with torch.device("cpu"):
        basis = torch.eye(base * base).reshape(base * base, 1, base, base)
        resized = F.interpolate(basis, size=patch, mode="bilinear", align_corners=False, antialias=False)
        return torch.linalg.pinv(resized.flatten(1))


class AdaptivePatchEmbed(nn.Module):
    """One learned `kernel_size` x `kernel_size` kernel that serves every patch size.

    Args:
        width: output channels.
        kernel_size: side of the base kernel in pixels.
        resize: how other sizes are derived; see the module.
        weight_init: scheme for the kernel at the base size.
        reference_size: patch at which a bilinear kernel has the scale of its weights, the base size by default. An
            optimiser that moves each weight alike moves a smaller patch's kernel by the ratio of the areas faster; with
            the smallest patch as reference none is moved faster than a fixed kernel would be. No effect on `pinv`.
    """

    def __init__(
        self,
        width: int,
        kernel_size: int,
        resize: KernelResize = "bilinear",
        weight_init: WeightInit = "trunc_normal",
        reference_size: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.reference_size = reference_size or kernel_size
        self.resize = resize
        self.weight = nn.Parameter(torch.empty(width, 3, kernel_size, kernel_size))
        init_weight(self.weight, weight_init)
        if resize == "bilinear":
            with torch.no_grad():
                self.weight.mul_((kernel_size / self.reference_size) ** 2)
        self.bias = nn.Parameter(torch.zeros(width))

    def kernel(self, patch: tuple[int, int]) -> Float[Tensor, "channels 3 patch_height patch_width"]:
        """Return the kernel for a patch (height, width in pixels), derived in fp32."""
        with full_precision(self.weight):
            if self.resize == "bilinear":
                resized = F.interpolate(self.weight, size=patch, mode="bilinear", align_corners=False)
                return resized * (self.reference_size**2 / (patch[0] * patch[1]))
            if patch == (self.kernel_size, self.kernel_size):
                return self.weight
            matrix = pinv_matrix(self.kernel_size, patch).to(self.weight.device)
            return (self.weight.flatten(2) @ matrix.T).unflatten(2, patch)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], patch: tuple[int, int]
    ) -> Float[Tensor, "batch channels rows columns"]:
        """Embed patches of size `patch` (height, width in pixels); a remainder at the right or bottom is left out."""
        return F.conv2d(images, self.kernel(patch), self.bias, stride=patch)
