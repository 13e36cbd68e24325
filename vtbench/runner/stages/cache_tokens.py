"""Make the tokens that a generator learns: once for a tokenizer and a data set, whichever run comes first."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from vtbench.models.tokenizers.base import Geometry
from vtbench.runner.context import RunContext
from vtbench.schema.record import StageRecord
from vtbench.train.step import autocast

NAME = "cache_tokens"


def run(context: RunContext) -> None:
    """Encode the training split, unless its tokens are there; of a generator that is trained they are not missed."""
    if context.is_done("train_generator") and not context.lost_the_weights():
        return
    started = time.monotonic()
    tokenizer, precision = context.trained_tokenizer(), context.spec.config.train.precision
    geometry = Geometry(num_tokens=context.tokens.num_tokens)

    @torch.no_grad()
    def encode(images: Tensor) -> Tensor:
        with autocast(context.device, precision):
            return tokenizer.tokenize(images.to(context.device), geometry)

    sizes = tokenizer.codebook_sizes
    assert sizes is not None  # a study whose tokenizer has none is refused

    def on_progress(done: int, total: int) -> None:
        context.writer.progress(NAME, done, total)

    context.token_cache.fill(context.train_data, encode, sizes[0], on_progress)
    context.writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))
