"""Learned positions that are added to the patches.

`GridPosEmbed` is VibeToken's dynamic grid (slides, "Bending the encoder to any input shape"): a learned grid, resized
bilinearly to the lattice at hand. Two ways to sample it:

- `resize` (slides, our default): a plain half-pixel bilinear resize.
- `official` (SonyResearch/VibeToken, commit 28b695b): grid sampling with half-pixel cells but query coordinates that
  run from -1 to 1 exactly, and zero padding. Border positions fall half a cell outside and are halved, corners
  quartered, and an axis of length 1 is read at -1. Kept because the released weights were trained with it.

`LearnedPosEmbed` is the plain table of ViT: position (i, j) has its own row whatever the size of the lattice, so rows
beyond the lattices seen in training stay as they were initialised.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.errors import ResolutionError
from vtbench.models.nn.transformer import embedding

Sampling = Literal["resize", "official"]


def _official_coordinates(length: int, device: torch.device, dtype: torch.dtype) -> Float[Tensor, " length"]:
    if length == 1:
        return torch.full((1,), -1.0, device=device, dtype=dtype)
    return torch.linspace(-1, 1, length, device=device, dtype=dtype)


class GridPosEmbed(nn.Module):
    """A learned square grid, resized to any lattice.

    Args:
        width: channels.
        grid_size: side of the grid.
        sampling: how the grid is read; see the module.
        std: standard deviation of the initial values; None means `width ** -0.5`.
    """

    def __init__(self, width: int, grid_size: int, sampling: Sampling = "resize", std: float | None = None) -> None:
        super().__init__()
        self.grid_size = grid_size
        self.sampling = sampling
        self.grid = embedding(grid_size * grid_size, width, std=std)

    def forward(self, lattice: tuple[int, int]) -> Float[Tensor, "patches width"]:
        """Return the positions of a lattice (rows, columns), row by row."""
        grid = self.grid.unflatten(0, (self.grid_size, self.grid_size)).permute(2, 0, 1)[None]
        if self.sampling == "resize":
            positions = F.interpolate(grid, size=lattice, mode="bilinear", align_corners=False)
        else:
            y = _official_coordinates(lattice[0], grid.device, grid.dtype)
            x = _official_coordinates(lattice[1], grid.device, grid.dtype)
            query = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=-1)[None]
            positions = F.grid_sample(grid, query, mode="bilinear", padding_mode="zeros", align_corners=False)
        return positions[0].flatten(1).T


class LearnedPosEmbed(nn.Module):
    """One learned row for each position of a `grid_size` x `grid_size` table; smaller lattices use its top left."""

    def __init__(self, width: int, grid_size: int, std: float | None = None) -> None:
        super().__init__()
        self.grid_size = grid_size
        self.grid = embedding(grid_size * grid_size, width, std=std)

    def forward(self, lattice: tuple[int, int]) -> Float[Tensor, "patches width"]:
        """Return the positions of a lattice (rows, columns), row by row.

        Raises:
            ResolutionError: the lattice is larger than the table.
        """
        if max(lattice) > self.grid_size:
            raise ResolutionError(
                f"learned positions reach {self.grid_size}x{self.grid_size} patches, the lattice is"
                f" {lattice[0]}x{lattice[1]}; raise pos_grid_size or take larger patches"
            )
        grid = self.grid.unflatten(0, (self.grid_size, self.grid_size))
        return grid[: lattice[0], : lattice[1]].flatten(0, 1)
