"""VibeToken's learned resizable blur: from the decoder's canvas to the size that was asked for.

One learned kernel, shared by the colours, resized to the scale at hand (official code, commit 28b695b): for each axis
`scale = in / out`, kernel size `min(max_size, int(2 scale + 3))` made odd, stride `max(1, round(scale))`, zero
padding of half the kernel; the kernel is resized bilinearly with aligned corners and normalised to sum 1. What does
not land on the size exactly is resized bilinearly with aligned corners. Not square: the larger kernel serves both
axes, each keeps its own padding.

Starts: `delta` (the official code's Lanczos window, sampled at integers, is a delta) decimates at first and so
aliases; `lowpass` is a Hann window over the kernel.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

BlurInit = Literal["delta", "lowpass"]


def _initial_kernel(size: int, init: BlurInit) -> Float[Tensor, "1 1 size size"]:
    if init == "delta":
        kernel = torch.zeros(size, size)
        kernel[size // 2, size // 2] = 1.0
    else:
        window = torch.hann_window(size + 2, periodic=False)[1:-1]
        kernel = torch.outer(window, window)
        kernel = kernel / kernel.sum()
    return kernel[None, None]


class ResizableBlur(nn.Module):
    """A learned kernel that takes images of any size to any size.

    Args:
        kernel_size: side of the base kernel, odd; also the largest kernel used.
        init: how the kernel starts; see the module.
    """

    def __init__(self, kernel_size: int = 9, init: BlurInit = "delta") -> None:
        super().__init__()
        self.max_size = kernel_size
        self.init = init
        self.weight = nn.Parameter(_initial_kernel(kernel_size, init))

    def _size_and_stride(self, length: int, target: int) -> tuple[int, int]:
        scale = length / target
        size = min(self.max_size, int(2 * scale + 3))
        return size + 1 - size % 2, max(1, round(scale))

    def forward(
        self, images: Float[Tensor, "batch 3 in_height in_width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size` (height, width in pixels)."""
        (size_y, stride_y), (size_x, stride_x) = (
            self._size_and_stride(a, b) for a, b in zip(images.shape[-2:], size, strict=True)
        )
        side = max(size_y, size_x)
        kernel = self.weight.float()
        if side != self.max_size:
            kernel = F.interpolate(kernel, size=(side, side), mode="bilinear", align_corners=True)
        kernel = (kernel / kernel.sum().clamp(min=1e-8)).to(images.dtype)
        # Colours share the kernel: as single-channel images they need no grouped convolution, which is slow on CPUs.
        flat = images.flatten(0, 1)[:, None]
        out = F.conv2d(flat, kernel, stride=(stride_y, stride_x), padding=(size_y // 2, size_x // 2))
        if out.shape[-2:] != size:
            out = F.interpolate(out, size=size, mode="bilinear", align_corners=True)
        return out[:, 0].unflatten(0, (-1, 3))
