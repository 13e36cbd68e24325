"""Keys and values of the places that a causal transformer has seen, in memory that is reserved once.

Nothing grows and nothing is copied while sampling: each step writes its place and reads a view of what is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vtbench.models.nn.sequence import Position


@dataclass(frozen=True)
class LayerCache:
    """One layer's keys and values; places not written yet are zero."""

    keys: Float[Tensor, "batch heads length dim"]
    values: Float[Tensor, "batch heads length dim"]

    def extend(
        self, keys: Float[Tensor, "batch heads 1 dim"], values: Float[Tensor, "batch heads 1 dim"], position: Position
    ) -> tuple[
        Float[Tensor, "batch heads seen dim"], Float[Tensor, "batch heads seen dim"], Bool[Tensor, "1 length"] | None
    ]:
        """Write one place and return the keys, the values and the mask that its query attends with.

        With a number as position these are the places up to it, and there is no mask; with a tensor they are all
        places, and a mask that is true up to it.
        """
        if isinstance(position, int):
            self.keys[:, :, position : position + 1] = keys
            self.values[:, :, position : position + 1] = values
            return self.keys[:, :, : position + 1], self.values[:, :, : position + 1], None
        index = position.reshape(1)
        self.keys.index_copy_(2, index, keys.to(self.keys.dtype))
        self.values.index_copy_(2, index, values.to(self.values.dtype))
        mask = torch.arange(self.keys.shape[2], device=self.keys.device)[None] <= index
        return self.keys, self.values, mask


@dataclass(frozen=True)
class KVCache:
    """All layers' keys and values."""

    layers: tuple[LayerCache, ...]

    @staticmethod
    def empty(
        num_layers: int,
        batch: int,
        num_heads: int,
        length: int,
        head_dim: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> KVCache:
        """Reserve a cache for `length` places."""
        shape = (2, num_layers, batch, num_heads, length, head_dim)
        memory = torch.zeros(shape, device=device, dtype=dtype)
        return KVCache(tuple(LayerCache(memory[0, layer], memory[1, layer]) for layer in range(num_layers)))

    @property
    def length(self) -> int:
        """How many places there are."""
        return self.layers[0].keys.shape[2]

    @property
    def num_bytes(self) -> int:
        """Memory that the cache holds."""
        return sum(t.numel() * t.element_size() for layer in self.layers for t in (layer.keys, layer.values))

    def first(self, batch: int) -> KVCache:
        """Return a view of the first `batch` sequences."""
        return KVCache(tuple(LayerCache(layer.keys[:batch], layer.values[:batch]) for layer in self.layers))
