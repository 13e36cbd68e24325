"""What the harness asks of a generator, and the sampling loop that all share.

A generator is a causal transformer over [condition, token 0, token 1, ...]; the output at each place predicts the next
token. Three parts are told apart by name, as costs are: `trunk` (the transformer), `head` (from the trunk's output to
logits) and the embeddings, which are all that is in neither. A new generator is one file that derives from `Generator`
and one row in `vtbench.models.generators.GENERATORS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from pydantic import PositiveInt
from torch import Tensor, nn

from vtbench.errors import ResolutionError
from vtbench.models.generators.guidance import Scale, scales
from vtbench.models.generators.sampling import Choice, image_noise
from vtbench.models.nn.causal import CausalTransformer
from vtbench.models.nn.kv_cache import KVCache
from vtbench.models.nn.sequence import Position
from vtbench.models.nn.transformer import WeightInit, init_linear
from vtbench.schema.base import Frozen

Choose = Callable[[Tensor], Tensor]
"""Logits (rows, codebook_size) -> codes (rows)."""


@dataclass(frozen=True, kw_only=True)
class Condition:
    """What is to be generated: a class each, in [0, num_classes] where the last is none, and a size in pixels."""

    labels: Int[Tensor, " batch"]
    height: Float[Tensor, " batch"] | None = None
    width: Float[Tensor, " batch"] | None = None

    def twice(self, labels: Int[Tensor, " batch"]) -> Condition:
        """Return this condition and, after it, the same with other labels."""
        height, width = (None if side is None else torch.cat([side, side]) for side in (self.height, self.width))
        return Condition(labels=torch.cat([self.labels, labels]), height=height, width=width)


@runtime_checkable
class Steps(Protocol):
    """What sampling repeats: every generator has it, and other ways of running a generator's."""

    def new_cache(self, batch: int, num_tokens: int) -> KVCache:
        """Reserve memory for the condition and `num_tokens` tokens."""

    def step(self, indices: Tensor, position: Position, cache: KVCache) -> Tensor:
        """Run the token at `position` and return its output."""


class GeneratorSize(Frozen):
    """Width, depth and heads of a trunk."""

    width: PositiveInt
    num_layers: PositiveInt
    num_heads: PositiveInt


class Generator(nn.Module, ABC):
    """An autoregressive model of an image's codes under a condition.

    A subclass nests its options in `Config`, takes one as its only argument, and makes `trunk`, `head`,
    `token_dropout` and the attributes below.

    Attributes:
        num_classes: classes; label `num_classes` stands for none.
        num_codebooks: codes of a token.
        codebook_size: entries of each codebook.
        max_num_tokens: longest sequence.
        condition_dropout: probability at which training replaces a label by none.
    """

    Config: ClassVar[type[Frozen]]
    num_classes: int
    num_codebooks: int
    codebook_size: int
    max_num_tokens: int
    condition_dropout: float
    trunk: CausalTransformer
    head: nn.Module
    token_dropout: nn.Dropout

    @abstractmethod
    def embed_condition(self, condition: Condition) -> Float[Tensor, "batch 1 width"]:
        """Return what stands at place 0.

        Raises:
            ResolutionError: the condition lacks the size that this generator is conditioned on.
        """

    @abstractmethod
    def embed_tokens(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], position: Position
    ) -> Float[Tensor, "batch tokens width"]:
        """Return what stands at the places from `position` (1 or more) on."""

    @abstractmethod
    def logits(
        self,
        hidden: Float[Tensor, "batch positions width"],
        indices: Int[Tensor, "batch num_codebooks positions"] | None = None,
    ) -> Float[Tensor, "batch positions num_codebooks codebook_size"]:
        """Return the logits of the token that each place predicts.

        Args:
            hidden: outputs of the trunk.
            indices: codes of the tokens predicted, for a head in which a code sees those before it in its token.
        """

    @abstractmethod
    def sample_token(
        self, hidden: Float[Tensor, "batch 1 width"], choose: Choose
    ) -> Int[Tensor, "batch num_codebooks 1"]:
        """Return the token after one place, each of its codes chosen from its logits."""

    def hidden(
        self, indices: Int[Tensor, "batch num_codebooks tokens"] | None, condition: Condition
    ) -> Float[Tensor, "batch positions width"]:
        """Return the trunk's normalised outputs at the 1 + tokens places of a whole sequence."""
        parts = [self.embed_condition(condition)]
        if indices is not None:
            parts.append(self.embed_tokens(indices, 1))
        return self.trunk(self.token_dropout(torch.cat(parts, dim=1)))

    def forward(
        self,
        indices: Int[Tensor, "batch num_codebooks tokens"],
        condition: Condition,
        generator: torch.Generator | None = None,
    ) -> Float[Tensor, "batch tokens num_codebooks codebook_size"]:
        """Return the logits of every token given the condition and the tokens before it.

        In training some labels are dropped, by `generator` or by torch's own where that is None.
        """
        if self.training and self.condition_dropout > 0:
            condition = self.drop_labels(condition, generator)
        return self.logits(self.hidden(indices[:, :, :-1], condition), indices)

    def drop_labels(self, condition: Condition, generator: torch.Generator | None = None) -> Condition:
        """Replace each label by none with probability `condition_dropout`."""
        labels = condition.labels
        device = labels.device if generator is None else generator.device
        dropped = torch.rand(labels.shape, generator=generator, device=device) < self.condition_dropout
        return replace(condition, labels=labels.masked_fill(dropped.to(labels.device), self.num_classes))

    def new_cache(self, batch: int, num_tokens: int) -> KVCache:
        """Reserve memory for the condition and `num_tokens` tokens."""
        return self.trunk.new_cache(batch, 1 + num_tokens)

    def prefill(self, condition: Condition, cache: KVCache) -> Float[Tensor, "batch 1 width"]:
        """Run the condition and return its output, from which token 0 is predicted."""
        return self.trunk(self.token_dropout(self.embed_condition(condition)), cache, 0)

    def step(
        self, indices: Int[Tensor, "batch num_codebooks 1"], position: Position, cache: KVCache
    ) -> Float[Tensor, "batch 1 width"]:
        """Run the token at `position` (token t stands at 1 + t) and return its output."""
        return self.trunk(self.token_dropout(self.embed_tokens(indices, position)), cache, position)

    @torch.no_grad()
    def generate(
        self,
        condition: Condition,
        num_tokens: int | None = None,
        *,
        seeds: Sequence[int] | None = None,
        cfg_scale: Scale = 1.0,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        same_shapes: bool = False,
        steps: Steps | None = None,
    ) -> Int[Tensor, "batch num_codebooks tokens"]:
        """Return sampled codes; the first n tokens are what `num_tokens=n` would have given.

        Dropout is off. Images do not see each other: image i depends on its condition and its seed.

        Args:
            condition: a row for each image.
            num_tokens: length; None means the longest.
            seeds: one for each image; needed unless `greedy`.
            cfg_scale: strength of guidance, or a function of the token's index; 1 means none. Conditional and
                unconditional run as one batch, the unconditional rows up to the last guided token.
            temperature, top_k, top_p: see `filter_logits`; for each code.
            greedy: take the likeliest code.
            same_shapes: every step computes over the whole cache, masked, so that it can be compiled or captured once.
            steps: makes caches and runs steps in the model's place; see `vtbench.models.generators.compiled`.

        Raises:
            ResolutionError: there are not so many tokens, or the condition lacks a size.
            ValueError: not one seed for each image, or nothing that could be drawn.
        """
        num_tokens = self._length(num_tokens)
        batch, device = condition.labels.shape[0], condition.labels.device
        if not greedy and (seeds is None or len(seeds) != batch):
            raise ValueError(f"{batch} images need {batch} seeds, got {0 if seeds is None else len(seeds)}")
        noise = None if greedy or seeds is None else image_noise(seeds, num_tokens * self.num_codebooks, device)
        choice = Choice(noise, temperature, top_k, top_p)
        positions = torch.arange(num_tokens, device=device).unbind(0) if same_shapes else range(num_tokens)
        with _evaluating(self):
            return self._sample(steps or self, condition, scales(cfg_scale, num_tokens), choice, positions)

    def _sample(
        self,
        steps: Steps,
        condition: Condition,
        strength: Sequence[float],
        choice: Choice,
        positions: Sequence[Position],
    ) -> Int[Tensor, "batch num_codebooks tokens"]:
        """Sample as many tokens as there are strengths of guidance; `positions` are 0, 1, ... in either form."""
        batch = condition.labels.shape[0]
        last_guided = max((token for token, scale in enumerate(strength) if scale != 1.0), default=-1)
        choice.guided = last_guided >= 0
        if choice.guided:
            condition = condition.twice(torch.full_like(condition.labels, self.num_classes))
        cache = steps.new_cache(condition.labels.shape[0], len(strength))
        hidden = self.prefill(condition, cache)
        tokens: list[Tensor] = []
        for token, scale in enumerate(strength):
            choice.scale = scale
            if token > 0:
                hidden = steps.step(tokens[-1], positions[token], cache)
            tokens.append(self.sample_token(hidden, choice))
            if token == last_guided:
                choice.guided = False
                tokens[-1], cache = tokens[-1][:batch], cache.first(batch)
        return torch.cat([token[:batch] for token in tokens], dim=2)

    def _length(self, num_tokens: int | None) -> int:
        if num_tokens is None:
            return self.max_num_tokens
        if not 1 <= num_tokens <= self.max_num_tokens:
            raise ResolutionError(f"{num_tokens} tokens asked for; this model has 1 to {self.max_num_tokens}")
        return num_tokens

    def _initialise(self, scheme: WeightInit, embedding_std: float) -> None:
        """Initialise linear layers by `scheme` and embeddings with N(0, embedding_std^2)."""
        for module in self.modules():
            init_linear(module, scheme)
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=embedding_std)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
