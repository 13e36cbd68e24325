"""What a tokenizer or a generator costs at a workload: all its parts, counted on the meta device.

Tokenizers: `encode`, `quantize` and `decode` make the model's figure. Generators: `forward`, one full-sequence pass
over the condition and all tokens, makes it, as published counts do; sampling is stated beside it:

- `prefill`: the condition;
- `step`: the last of the steps that sampling takes, its token seeing all before it in the cache;
- `head`: from one place's output to one token, code by code;
- `sampling`: the prefill, a step for each token but the last, and the head for each token;
- `sampling_cfg`: the same with classifier-free guidance at every token, that is on twice the rows.

`training_step` is a forward and a backward pass of the model alone. The networks of its losses and the optimiser are
left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vtbench.cost.activations import BYTES_PER_FLOAT, live_bytes, saved_bytes
from vtbench.cost.calls import Head, Predict, Prefill, Reconstruct, Sequence, Step, conditions
from vtbench.cost.compiler import without_compiler
from vtbench.cost.estimates import num_parameters
from vtbench.cost.flops import FlopCount, count_twin, on_meta
from vtbench.cost.sampling import sum_steps
from vtbench.cost.tokenizer import count_tokenizer, inference_geometry
from vtbench.cost.training import count_training
from vtbench.errors import CostError, ResolutionError
from vtbench.models.generators.base import Generator
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.schema.base import parse_resolution
from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount, ProductKind, Workload

_TRAINING_NOTE = (
    "forward and backward of the model alone: the networks of its losses and the optimiser are left out; what the"
    " backward pass multiplies stands under the module and kind of its forward product"
)
_PASSES = 3
"""How often a training step moves the weights: read forward and backward, and their gradients written."""

_ProductKey = tuple[str, ProductKind, bool]
"""Module, kind and whether hooks see it."""


def count_model(name: str, model: Tokenizer | Generator, workload: Workload) -> ModelCost:
    """Count a model's arithmetic and memory; one built under `torch.device("meta")` needs no memory itself.

    Args:
        name: what the cost is filed under.
        model: on any device, and not touched.
        workload: see `Workload`; all figures are of its whole batch.

    Raises:
        ResolutionError: the model cannot handle this size, patch or number of tokens.
        CostError: an operation of the model cannot be counted.
    """
    with without_compiler():
        if isinstance(model, Generator):
            return _generator(name, model, workload)
        return _tokenizer(name, model, workload)


def _tokenizer(name: str, model: Tokenizer, workload: Workload) -> ModelCost:
    size, batch, patch = parse_resolution(workload.resolution), workload.batch_size, workload.patch
    num_tokens = workload.num_tokens or model.num_tokens_at(size)
    counts = count_tokenizer(model, size, workload.num_tokens, patch, batch)
    reconstruct = Reconstruct(on_meta(model).eval(), inference_geometry(workload.num_tokens, patch))
    images = torch.empty(batch, 3, *size, device="meta")
    components = [
        _component("encode", counts.encode, in_total=True),
        _component("quantize", counts.quantize, in_total=True),
        _component("decode", counts.decode, in_total=True),
        _training_step(reconstruct, images),
    ]
    return ModelCost(
        model=name,
        kind="tokenizer",
        workload=workload.model_copy(update={"num_tokens": num_tokens}),
        num_parameters=counts.num_parameters,
        components=tuple(components),
        weight_bytes=BYTES_PER_FLOAT * counts.num_parameters,
        kv_cache_bytes=None,
        activation_bytes={"inference": live_bytes(reconstruct, images), "training": saved_bytes(reconstruct, images)},
        tool=counts.encode.tool,
    )


def _generator(name: str, model: Generator, workload: Workload) -> ModelCost:
    if workload.patch is not None:
        raise CostError(f"'{name}' is a generator and has no patch; leave the patch out")
    num_tokens, batch = workload.num_tokens or model.max_num_tokens, workload.batch_size
    if num_tokens > model.max_num_tokens:
        raise ResolutionError(f"{num_tokens} tokens asked for; '{name}' has 1 to {model.max_num_tokens}")
    twin = on_meta(model).eval()
    indices = torch.empty(batch, model.num_codebooks, num_tokens, dtype=torch.int64, device="meta")
    condition = conditions(batch)
    forward = count_twin(Sequence(twin), indices, *condition)
    components = [
        _component("forward", forward, in_total=True),
        *_sampling(twin, num_tokens, indices, condition),
        _training_step(Predict(twin), indices, *condition),
    ]
    parameters = num_parameters(model)
    return ModelCost(
        model=name,
        kind="generator",
        workload=workload.model_copy(update={"num_tokens": num_tokens}),
        num_parameters=parameters,
        components=tuple(components),
        weight_bytes=BYTES_PER_FLOAT * parameters,
        kv_cache_bytes=_cache_bytes(twin, batch, num_tokens),
        activation_bytes={
            "inference": live_bytes(Sequence(twin), indices, *condition),
            "training": saved_bytes(Predict(twin).train(), indices, *condition),  # last: it leaves the twin in training
        },
        tool=forward.tool,
    )


def count_sampling(model: Generator, num_tokens: int) -> tuple[ComponentCost, ...]:
    """Count the sampling of one image of `num_tokens` tokens, as a generator's components, without its other ones.

    Raises:
        ResolutionError: the model has not so many tokens.
        CostError: an operation of the model cannot be counted.
    """
    if not 1 <= num_tokens <= model.max_num_tokens:
        raise ResolutionError(f"{num_tokens} tokens asked for; this model has 1 to {model.max_num_tokens}")
    indices = torch.empty(1, model.num_codebooks, num_tokens, dtype=torch.int64, device="meta")
    return tuple(_sampling(on_meta(model).eval(), num_tokens, indices, conditions(1)))


def _sampling(model: Generator, num_tokens: int, indices: Tensor, condition: tuple[Tensor, ...]) -> list[ComponentCost]:
    """Return the components of sampling `num_tokens` tokens."""
    batch, last, token = indices.shape[0], num_tokens - 1, indices[:, :, :1]
    hidden = torch.empty(batch, 1, model.trunk.config.width, device="meta")
    steps: dict[int, FlopCount] = {}

    def step(place: int) -> Counter[_ProductKey]:
        steps[place] = count_twin(Step(model, num_tokens, place), token)
        return _by_key(_in_model(steps[place].products))

    prefill = _component("prefill", count_twin(Prefill(model, num_tokens), *condition))
    head = _component("head", count_twin(Head(model), hidden))
    macs = _by_key(prefill.products) + sum_steps(step, 1, last)
    for key, each in _by_key(head.products).items():
        macs[key] += num_tokens * each
    parts = [prefill, head]
    weights = prefill.weight_bytes + num_tokens * head.weight_bytes
    if last >= 1:
        final = _component("step", steps[last], cache_bytes=_cache_bytes(model, batch, num_tokens))
        parts.insert(1, final)
        weights += last * final.weight_bytes
    places_read = sum(range(2, num_tokens + 1))
    for name, rows, what in (("sampling", 1, "without guidance"), ("sampling_cfg", 2, "each of them guided")):
        parts.append(
            ComponentCost(
                name=name,
                products=tuple(
                    ProductCount(module=module, kind=kind, macs=rows * num, hooked=hooked)
                    for (module, kind, hooked), num in macs.items()
                ),
                in_total=False,
                coverage=None,
                weight_bytes=weights,
                cache_bytes=rows * places_read * _cache_bytes(model, batch, 1),
                note=f"{num_tokens} tokens one after the other with a cache, {what}",
            )
        )
    return parts


def _training_step(module: nn.Module, *inputs: Tensor) -> ComponentCost:
    count = count_training(module, *inputs)
    part = _component("training_step", count.forward, note=_TRAINING_NOTE)
    return part.model_copy(update={"products": _in_model(count.products), "weight_bytes": _PASSES * part.weight_bytes})


def _component(
    name: str, count: FlopCount, in_total: bool = False, cache_bytes: int = 0, note: str = ""
) -> ComponentCost:
    return ComponentCost(
        name=name,
        products=_in_model(count.products),
        in_total=in_total,
        coverage=count.coverage,
        weight_bytes=BYTES_PER_FLOAT * count.weight_elements,
        cache_bytes=cache_bytes,
        note=note,
    )


def _in_model(products: Iterable[ProductCount]) -> tuple[ProductCount, ...]:
    """Return products of a call with the names that their modules have in the model."""
    names = (product.module.removeprefix("model").removeprefix(".") for product in products)
    return tuple(p.model_copy(update={"module": name}) for p, name in zip(products, names, strict=True))


def _by_key(products: Iterable[ProductCount]) -> Counter[_ProductKey]:
    return Counter({(product.module, product.kind, product.hooked): product.macs for product in products})


def _cache_bytes(model: Generator, batch: int, num_places: int) -> int:
    """Return the size in bf16 of the keys and values of `num_places` places, the condition's included."""
    cache = model.new_cache(batch, num_places - 1)
    return cache.num_bytes // cache.layers[0].keys.element_size() * BYTES_PER_FLOAT
