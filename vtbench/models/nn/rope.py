"""Axial rotary positions for a two-dimensional lattice of patches.

Su et al. 2021 (RoPE), taken to two axes as in Heo et al. 2024 ("Rotary Position Embedding for Vision Transformer"):
half of a head's pairs turn with the row, half with the column. Positions count patches from the top left, so a larger
lattice holds angles that training has never seen. Tokens that are no patches (class, latents) are not turned.

`LearnableAxialRope` is the ablation's "learnable RoPE": axial, with one learnable table of frequencies a layer,
shared by its heads. The official VibeToken code has neither; base 100 is Heo et al.'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class Rotation:
    """Cosines and sines of every token's angles, one for each pair of a head's channels."""

    cos: Float[Tensor, "tokens pairs"]
    sin: Float[Tensor, "tokens pairs"]


def rotate(x: Float[Tensor, "batch heads tokens dim"], rotation: Rotation) -> Float[Tensor, "batch heads tokens dim"]:
    """Turn channel pairs (i, i + dim/2) by their token's angles; angles are applied in fp32 and cast back."""
    first, second = x.float().chunk(2, dim=-1)
    turned = (
        first * rotation.cos - second * rotation.sin,
        first * rotation.sin + second * rotation.cos,
    )
    return torch.cat(turned, dim=-1).to(x.dtype)


def axial_frequencies(head_dim: int, base: float, fastest: float = 1.0) -> Float[Tensor, " pairs"]:
    """Return `fastest * base ** (-i / n)` radians a patch for the n = head_dim/4 pairs of each axis, rows first."""
    num = head_dim // 4
    one_axis = fastest * base ** (-torch.arange(num, dtype=torch.float32) / num)
    return torch.cat([one_axis, one_axis])


def _coordinates(height: int, width: int, pairs: int, device: torch.device) -> Float[Tensor, "patches pairs"]:
    """Return each patch's row (first half of the pairs) and column (second half)."""
    rows = torch.arange(height, device=device, dtype=torch.float32).repeat_interleave(width)
    columns = torch.arange(width, device=device, dtype=torch.float32).repeat(height)
    half = pairs // 2
    return torch.cat([rows[:, None].expand(-1, half), columns[:, None].expand(-1, half)], dim=1)


def _rotation(angles: Float[Tensor, "patches pairs"], num_before: int, num_after: int) -> Rotation:
    """Surround the patches' angles by zeros for the tokens before and after them."""
    angles = nn.functional.pad(angles, (0, 0, num_before, num_after))
    return Rotation(cos=angles.cos(), sin=angles.sin())


class AxialRope(nn.Module):
    """Fixed axial frequencies, the same in every layer.

    Args:
        num_layers: how many layers ask for a rotation.
        head_dim: width of a head, a multiple of 4.
        base: ratio of the fastest to about the slowest frequency.
        fastest: highest frequency, radians a patch.
    """

    def __init__(self, num_layers: int, head_dim: int, base: float, fastest: float = 1.0) -> None:
        super().__init__()
        if head_dim % 4:
            raise ValueError(f"axial RoPE needs a head width that 4 divides, got {head_dim}")
        self.num_layers = num_layers
        self.register_buffer("frequencies", axial_frequencies(head_dim, base, fastest), persistent=False)

    def rotations(self, lattice: tuple[int, int], num_before: int, num_after: int) -> list[Rotation]:
        """Return each layer's rotation for [num_before tokens, lattice patches row by row, num_after tokens]."""
        frequencies: Tensor = self.get_buffer("frequencies")
        angles = _coordinates(*lattice, len(frequencies), frequencies.device) * frequencies
        return [_rotation(angles, num_before, num_after)] * self.num_layers


class LearnableAxialRope(nn.Module):
    """Axial frequencies that each layer learns, beginning at those of `AxialRope`."""

    def __init__(self, num_layers: int, head_dim: int, base: float, fastest: float = 1.0) -> None:
        super().__init__()
        if head_dim % 4:
            raise ValueError(f"axial RoPE needs a head width that 4 divides, got {head_dim}")
        self.frequencies = nn.Parameter(axial_frequencies(head_dim, base, fastest).repeat(num_layers, 1))

    def rotations(self, lattice: tuple[int, int], num_before: int, num_after: int) -> list[Rotation]:
        """Return each layer's rotation for [num_before tokens, lattice patches row by row, num_after tokens]."""
        coordinates = _coordinates(*lattice, self.frequencies.shape[1], self.frequencies.device)
        return [_rotation(coordinates * f, num_before, num_after) for f in self.frequencies]
