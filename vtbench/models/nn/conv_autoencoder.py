"""The convolutional encoder and decoder of VQGAN's family, as LlamaGen's tokenizer uses them.

Esser et al. 2021, "Taming Transformers" (arXiv 2012.09841); layout of FoundationVision/LlamaGen, commit ce98ec4.
Residual blocks `x + conv(silu(norm(conv(silu(norm x)))))` on levels of halved resolution; self-attention of one head,
over all places, on the coarsest level and in the middle; GroupNorm eps 1e-6. Halving pads right and below and strides
by 2; doubling repeats neighbours and convolves. The decoder has one block more a level.

Queries, keys and values are one convolution here and three there; `scaled_dot_product_attention` never holds all scores
where it has a kernel that need not.
"""

from __future__ import annotations

from jaxtyping import Float
from pydantic import PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.schema.base import Frozen

NORM_EPS = 1e-6

Maps = Float[Tensor, "batch channels height width"]


class ConvConfig(Frozen):
    """Size of encoder and decoder; level i works with `width * width_factors[i]` channels, the finest first."""

    width: PositiveInt
    width_factors: tuple[PositiveInt, ...]
    num_res_blocks: PositiveInt
    latent_width: PositiveInt
    num_groups: PositiveInt = 32
    """Groups of channels that are normalised together."""

    @model_validator(mode="after")
    def _groups_divide(self) -> ConvConfig:
        if not self.width_factors:
            raise ValueError("width_factors is empty: at least one level is needed")
        if self.width % self.num_groups:
            raise ValueError(f"width {self.width} is no multiple of num_groups {self.num_groups}")
        return self

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each level, the finest first."""
        return tuple(self.width * factor for factor in self.width_factors)

    @property
    def pixels(self) -> int:
        """Side in pixels of the square that one latent stands for."""
        return int(2 ** (len(self.width_factors) - 1))


def _norm(width: int, num_groups: int) -> nn.GroupNorm:
    return nn.GroupNorm(num_groups, width, eps=NORM_EPS)


class ResBlock(nn.Module):
    """Two normalised convolutions beside a shortcut, which is a 1x1 convolution where the width changes."""

    def __init__(self, in_width: int, out_width: int, num_groups: int) -> None:
        super().__init__()
        self.norm1 = _norm(in_width, num_groups)
        self.conv1 = nn.Conv2d(in_width, out_width, 3, padding=1)
        self.norm2 = _norm(out_width, num_groups)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1)
        self.shortcut = nn.Identity() if in_width == out_width else nn.Conv2d(in_width, out_width, 1)

    def forward(self, x: Maps) -> Float[Tensor, "batch out_channels height width"]:
        """Return maps of the same size."""
        out = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(out)))


class PlaceAttention(nn.Module):
    """Self-attention of one head over all places of a map, beside a shortcut."""

    def __init__(self, width: int, num_groups: int) -> None:
        super().__init__()
        self.norm = _norm(width, num_groups)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.proj = nn.Conv2d(width, width, 1)

    def forward(self, x: Maps) -> Maps:
        """Return maps of the same size."""
        q, k, v = self.qkv(self.norm(x)).flatten(2).transpose(1, 2)[:, None].chunk(3, dim=-1)
        out = F.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.proj(out.transpose(1, 2).unflatten(2, x.shape[2:]))


class Halve(nn.Module):
    """Half the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Maps) -> Float[Tensor, "batch channels rows columns"]:
        """Return maps of half the height and width."""
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Double(nn.Module):
    """Twice the resolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Maps) -> Float[Tensor, "batch channels rows columns"]:
        """Return maps of twice the height and width."""
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Level(nn.Module):
    """Residual blocks of one resolution, each followed by attention where there is any, and the way to the next."""

    def __init__(
        self, in_width: int, out_width: int, num_blocks: int, num_groups: int, attends: bool, after: nn.Module
    ) -> None:
        super().__init__()
        widths = [in_width] + [out_width] * (num_blocks - 1)
        self.blocks = nn.ModuleList(ResBlock(width, out_width, num_groups) for width in widths)
        self.attentions = nn.ModuleList(
            PlaceAttention(out_width, num_groups) if attends else nn.Identity() for _ in widths
        )
        self.after = after

    def forward(self, x: Maps) -> Float[Tensor, "batch out_channels out_height out_width"]:
        """Return the maps that the next level takes."""
        for block, attention in zip(self.blocks, self.attentions, strict=True):
            x = attention(block(x))
        return self.after(x)


def _middle(width: int, num_groups: int) -> nn.Sequential:
    return nn.Sequential(
        ResBlock(width, width, num_groups), PlaceAttention(width, num_groups), ResBlock(width, width, num_groups)
    )


class ConvEncoder(nn.Module):
    """Images to maps of `latent_width` channels, `config.pixels` times smaller a side."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        widths, groups = config.widths, config.num_groups
        self.conv_in = nn.Conv2d(3, config.width, 3, padding=1)
        self.levels = nn.ModuleList(
            Level(
                widths[level - 1] if level else config.width,
                width,
                config.num_res_blocks,
                groups,
                attends=level == len(widths) - 1,
                after=Halve(width) if level < len(widths) - 1 else nn.Identity(),
            )
            for level, width in enumerate(widths)
        )
        self.middle = _middle(widths[-1], groups)
        self.norm = _norm(widths[-1], groups)
        self.conv_out = nn.Conv2d(widths[-1], config.latent_width, 3, padding=1)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch latent_width rows columns"]:
        """Return latent maps of images in [-1, 1] whose sides `config.pixels` divides."""
        x = self.conv_in(images)
        for level in self.levels:
            x = level(x)
        return self.conv_out(F.silu(self.norm(self.middle(x))))


class ConvDecoder(nn.Module):
    """Maps of `latent_width` channels to images, `config.pixels` times larger a side."""

    def __init__(self, config: ConvConfig) -> None:
        super().__init__()
        widths, groups = config.widths[::-1], config.num_groups
        self.conv_in = nn.Conv2d(config.latent_width, widths[0], 3, padding=1)
        self.middle = _middle(widths[0], groups)
        self.levels = nn.ModuleList(
            Level(
                widths[level - 1] if level else widths[0],
                width,
                config.num_res_blocks + 1,
                groups,
                attends=level == 0,
                after=Double(width) if level < len(widths) - 1 else nn.Identity(),
            )
            for level, width in enumerate(widths)
        )
        self.norm = _norm(widths[-1], groups)
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(
        self, latents: Float[Tensor, "batch latent_width rows columns"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images, in [-1, 1] up to overshoot."""
        x = self.middle(self.conv_in(latents))
        for level in self.levels:
            x = level(x)
        return self.conv_out(F.silu(self.norm(x)))
