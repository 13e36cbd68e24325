"""The kinds of positions a lattice of patches can have, behind one interface: added, or turned, or both left out."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from vtbench.models.nn.pos_embed import GridPosEmbed, LearnedPosEmbed, Sampling
from vtbench.models.nn.rope import AxialRope, LearnableAxialRope, Rotation
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.schema.base import Frozen

PosEmbed = Literal["grid", "learned", "rope", "rope_learnable", "none"]


class PositionsConfig(Frozen):
    """Which positions patches get.

    `grid`: dynamic grid; `learned`: one row a position; `rope`, `rope_learnable`: axial rotary; `none`: a broken
    model, for checks that a study can see the difference.
    """

    kind: PosEmbed = "grid"
    grid_size: int = 32
    grid_sampling: Sampling = "resize"
    rope_base: float = 100.0
    rope_fastest: float = 1.0
    init_std: float | None = None


class Positions(nn.Module):
    """Positions of one transformer's patches."""

    def __init__(self, config: PositionsConfig, transformer: TransformerConfig) -> None:
        super().__init__()
        width, layers, head_dim = transformer.width, transformer.num_layers, transformer.head_dim
        self.added: GridPosEmbed | LearnedPosEmbed | None = None
        self.turned: AxialRope | LearnableAxialRope | None = None
        match config.kind:
            case "grid":
                self.added = GridPosEmbed(width, config.grid_size, config.grid_sampling, config.init_std)
            case "learned":
                self.added = LearnedPosEmbed(width, config.grid_size, config.init_std)
            case "rope":
                self.turned = AxialRope(layers, head_dim, config.rope_base, config.rope_fastest)
            case "rope_learnable":
                self.turned = LearnableAxialRope(layers, head_dim, config.rope_base, config.rope_fastest)
            case "none":
                pass

    def add(
        self, patches: Float[Tensor, "batch patches width"], lattice: tuple[int, int]
    ) -> Float[Tensor, "batch patches width"]:
        """Return the patches with added positions, or unchanged where positions are turned."""
        return patches if self.added is None else patches + self.added(lattice)

    def rotations(self, lattice: tuple[int, int], num_before: int, num_after: int) -> list[Rotation] | None:
        """Return each layer's rotation of a sequence [before, patches, after], or None where positions are added."""
        return None if self.turned is None else self.turned.rotations(lattice, num_before, num_after)
