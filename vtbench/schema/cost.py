"""What a model costs at one piece of work: matrix products, weights and memory, of each of its parts.

A cost is stated in multiply-accumulates (MACs), product by product. What a printed figure makes of them is the business
of a convention (`vtbench.schema.convention`), so one count serves them all.
"""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from vtbench.schema.base import Frozen, Resolution

ProductKind = Literal["linear", "conv", "attention", "matmul", "einsum", "cdist"]


class Workload(Frozen):
    """One piece of work.

    Attributes:
        resolution: a tokenizer encodes and decodes images of this size; a generator is conditioned on it.
        num_tokens: latents of a tokenizer, image tokens of a generator; None: the most that the model has.
        patch: side in pixels of the patch that an adaptive tokenizer is made to take; None: its own rule.
        batch_size: images.
    """

    resolution: Resolution
    num_tokens: PositiveInt | None = None
    patch: PositiveInt | None = None
    batch_size: PositiveInt = 1


class ProductCount(Frozen):
    """The matrix products of one kind that one module does itself, not through its children.

    Attributes:
        module: path in the model; "" is the model itself.
        kind: `linear` and `conv` are the layers, as modules or functions; `attention` is scaled dot-product attention
            without its projections; `matmul`, `einsum` and `cdist` are written out.
        macs: multiply-accumulates of the whole batch.
        hooked: whether a forward hook on nn.Linear and convolution modules sees it, which is how many published figures
            were counted: not seen are products that a function computes, and all within nn.MultiheadAttention.
    """

    module: str
    kind: ProductKind
    macs: int
    hooked: bool


class ComponentCost(Frozen):
    """One part of a model's work, for the whole batch.

    Attributes:
        name: for example `encode`.
        products: what it multiplies, in the order of the model.
        in_total: whether it is part of the model's own figure; the others are parts of these, or further questions.
        coverage: this count over torch's own, 1.0 when they agree; None where it is a sum of counts.
        weight_bytes: weights in bf16 that its operations read, embeddings by the row; each step of sampling reads them
            again.
        cache_bytes: keys and values in bf16 that it reads from the cache.
        note: what a reader must know of the count.
    """

    name: str
    products: tuple[ProductCount, ...]
    in_total: bool
    coverage: float | None
    weight_bytes: int
    cache_bytes: int = 0
    note: str = ""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products."""
        return sum(product.macs for product in self.products)

    @property
    def moved_bytes(self) -> int:
        """What must come from memory at the least: weights and cache, activations left out."""
        return self.weight_bytes + self.cache_bytes


class ModelCost(Frozen):
    """What a model costs at a workload.

    Attributes:
        model: its name. kind: `tokenizer` or `generator`.
        workload: with the number of tokens filled in.
        num_parameters: of the whole model, shared ones once.
        components: its parts, for the whole batch.
        weight_bytes: of the whole model in bf16.
        kv_cache_bytes: keys and values in bf16 of all places that sampling writes (the condition and all tokens but the
            last), for the whole batch without guidance; None for tokenizers.
        activation_bytes: `inference`: most that lives at once in one forward pass, inputs included, weights not;
            `training`: what is kept for the backward pass. Every floating tensor is taken as bf16, attention and
            RMSNorm as fused kernels; operations are not fused with each other.
        tool: what counted.
    """

    model: str
    kind: Literal["tokenizer", "generator"]
    workload: Workload
    num_parameters: int
    components: tuple[ComponentCost, ...]
    weight_bytes: int
    kv_cache_bytes: int | None
    activation_bytes: dict[str, int]
    tool: str

    def component(self, name: str) -> ComponentCost | None:
        """Return the component called `name`, or None if the model has none such."""
        return next((component for component in self.components if component.name == name), None)
