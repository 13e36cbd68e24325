"""Sampling with a step that is compiled once for each batch and length, and on a GPU captured as a CUDA graph.

Every step then has the same shapes: it attends over the whole cache, masked. So it does more arithmetic than a step
that grows, and pays where launching kernels takes longer than running them, as it does on a GPU at small batches.

The cache is kept from one call to the next, since a captured graph holds addresses; what an earlier call left in it
stands at places that the mask hides until they are written again. What is compiled is the trunk's step with the token's
embedding; the head and the choice run as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vtbench.models.generators.base import Condition, Generator
from vtbench.models.nn.kv_cache import KVCache
from vtbench.models.nn.sequence import Position


class CompiledSampler:
    """Samples from a generator whose weights and device stay where they are.

    Args:
        model: in evaluation mode while it samples; `generate` sees to that.
        backend: of `torch.compile`; `inductor` needs a compiler on the machine.
        cuda_graphs: capture steps where the model is on a GPU; with `inductor` only.
    """

    def __init__(self, model: Generator, backend: str = "inductor", cuda_graphs: bool = True) -> None:
        self.model = model
        device = next(model.parameters()).device
        self._captures = cuda_graphs and backend == "inductor" and device.type == "cuda"
        options: dict[str, Any] = {"mode": "reduce-overhead"} if self._captures else {"backend": backend}
        self._step: Callable[..., Tensor] = torch.compile(model.step, dynamic=False, **options)
        self._caches: dict[tuple[int, int], KVCache] = {}

    def generate(
        self, condition: Condition, num_tokens: int | None = None, **options: Any
    ) -> Int[Tensor, "batch num_codebooks tokens"]:
        """Return sampled codes; arguments are those of `Generator.generate`."""
        return self.model.generate(condition, num_tokens, **options, same_shapes=True, steps=self)

    def new_cache(self, batch: int, num_tokens: int) -> KVCache:
        """Return the memory for this batch and length, reserved once."""
        key = (batch, num_tokens)
        if key not in self._caches:
            cache = self.model.new_cache(batch, num_tokens)
            for layer in cache.layers:
                for memory in (layer.keys, layer.values):
                    torch._dynamo.mark_static_address(memory)  # no public name; a graph would copy it at every step
            self._caches[key] = cache
        return self._caches[key]

    def step(
        self, indices: Int[Tensor, "batch num_codebooks 1"], position: Position, cache: KVCache
    ) -> Float[Tensor, "batch 1 width"]:
        """Run the token at `position` on the compiled step; the output is good until the next call."""
        if self._captures:
            torch.compiler.cudagraph_mark_step_begin()
        return self._step(indices, position, cache)
