"""Places in a sequence, and rotary positions for sequences that begin with a condition.

Su et al. 2021 (RoPE) over neighbouring channel pairs (2i, 2i + 1), as in Llama. Two layouts of the image tokens:

- in a row: token n turns by `n * base ** (-2i / dim)`;
- on a grid, row by row (LlamaGen): the first half of a head's pairs turns with the row, the second with the column,
  each half like the one above with half the channels.

The condition stands before image token 0. Its row of the tables is zero, cosine and sine (LlamaGen, commit ce98ec4;
VibeToken, commit 28b695b), so its query and key vanish: every token gives it a score of 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vtbench.models.nn.rope import Rotation

Position = int | Int[Tensor, ""]
"""A place in a sequence, the condition's being 0.

A number makes each step do the work of its own length and no more; a tensor makes all steps alike, so that one
compiled step or captured graph serves them all.
"""


def rows(table: Float[Tensor, "all_rows width"], position: Position, num: int = 1) -> Float[Tensor, "num width"]:
    """Return `num` rows of a table from `position` on."""
    if isinstance(position, int):
        return table[position : position + num]
    return table.index_select(0, position + torch.arange(num, device=table.device))


def row_angles(num_tokens: int, head_dim: int, base: float) -> Float[Tensor, "tokens pairs"]:
    """Return the angles in radians of tokens in a row; `head_dim` is a multiple of 2."""
    frequencies = base ** (-torch.arange(0, head_dim, 2, dtype=torch.float32) / head_dim)
    return torch.outer(torch.arange(num_tokens, dtype=torch.float32), frequencies)


def grid_angles(height: int, width: int, head_dim: int, base: float) -> Float[Tensor, "tokens pairs"]:
    """Return the angles in radians of tokens on a grid, row by row; `head_dim` is a multiple of 4."""
    by_row = row_angles(height, head_dim // 2, base)[:, None].expand(-1, width, -1)
    by_column = row_angles(width, head_dim // 2, base)[None].expand(height, -1, -1)
    return torch.cat([by_row, by_column], dim=-1).flatten(0, 1)


def rotate_neighbours(x: Float[Tensor, "*batch tokens dim"], rotation: Rotation) -> Float[Tensor, "*batch tokens dim"]:
    """Turn channel pairs (2i, 2i + 1) by their token's angles; angles are applied in fp32 and cast back."""
    first, second = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    turned = (
        first * rotation.cos - second * rotation.sin,
        first * rotation.sin + second * rotation.cos,
    )
    return torch.stack(turned, dim=-1).flatten(-2).to(x.dtype)


class SequenceRope(nn.Module):
    """The rotations of a condition, which are zero, and of the image tokens after it.

    Args:
        angles: of the image tokens, in radians.
    """

    cos: Tensor
    sin: Tensor

    def __init__(self, angles: Float[Tensor, "tokens pairs"]) -> None:
        super().__init__()
        before = (0, 0, 1, 0)
        self.register_buffer("cos", nn.functional.pad(angles.cos(), before), persistent=False)
        self.register_buffer("sin", nn.functional.pad(angles.sin(), before), persistent=False)

    def forward(self, position: Position, num: int) -> Rotation:
        """Return the rotation of `num` places from `position` on."""
        return Rotation(cos=rows(self.cos, position, num), sin=rows(self.sin, position, num))
