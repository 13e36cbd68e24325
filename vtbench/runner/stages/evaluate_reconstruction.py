"""Measure reconstructions at the plan's points and keep a few pictures of each.

Several processes of a run share out the images; the first one alone keeps values and pictures.
"""

from __future__ import annotations

import time
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vtbench.distributed import is_main
from vtbench.evaluate import METRICS
from vtbench.evaluate.reconstructions import Codec, Reconstruct
from vtbench.evaluate.suite import (
    Point,
    evaluate_reconstruction,
    evaluation_points,
    measurements,
    picture_strip,
)
from vtbench.models.tokenizers.base import Geometry, Tokenizer
from vtbench.runner.build import reconstructor
from vtbench.runner.context import RunContext
from vtbench.schema.record import StageRecord
from vtbench.store.files import replacing
from vtbench.train.step import autocast

NAME = "evaluate_reconstruction"


def run(context: RunContext) -> None:
    """Measure what the record lacks; values that are there are kept, and so is what was taken of each image."""
    evaluate, precision, writer = context.plan.evaluate, context.spec.config.train.precision, context.writer
    points = evaluation_points(evaluate)
    started = time.monotonic()
    context.val_data.prepare(list(dict.fromkeys(size for point in points for size in (point.size, point.input_size))))
    known = {value.key for value in writer.record.metrics}
    model = _Model(context)
    codec = Codec(model.tokenize, model.detokenize, model.lookup, model.codebook_sizes)
    measured = evaluate_reconstruction(
        model.reconstruct,
        context.val_data,
        points,
        _metrics(context),
        evaluate,
        context.weights_id,
        known,
        context.store.cache_dir,
        lambda done, total: writer.progress(NAME, done, total),
        train_dataset=context.train_data,
        precision=precision,
        measured_dir=context.store.measured_dir(context.spec.run_id),
        codec=codec,
        device=context.device,
    )
    protocols = _protocols(context)
    num_new = 0
    for point, values in zip(points, measured, strict=True):
        if values:
            writer.add_metrics(values, {value.protocol: protocols[value.protocol] for value in values})
            num_new += len(values)
        if is_main():
            _keep_pictures(context, model.reconstruct, codec, point)
    if num_new or not context.is_done(NAME):
        writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))


class _Model:
    """The run's tokenizer as metrics see it; loaded when it is first needed, which may be never."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._precision = context.spec.config.train.precision

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return self._context.trained_tokenizer()

    @cached_property
    def _reconstruct(self) -> Reconstruct:
        return reconstructor(self._tokenizer, self._precision)

    def reconstruct(self, images: Tensor, num_tokens: int | None) -> Tensor:
        return self._reconstruct(images, num_tokens)

    @torch.no_grad()
    def tokenize(self, images: Tensor, num_tokens: int | None) -> Tensor:
        device = self._context.device
        with autocast(device, self._precision):
            return self._tokenizer.tokenize(images.to(device), Geometry(num_tokens=num_tokens))

    @torch.no_grad()
    def detokenize(self, codes: Tensor, size: tuple[int, int], num_tokens: int | None) -> Tensor:
        with autocast(self._context.device, self._precision):
            return self._tokenizer.detokenize(codes, size, Geometry(num_tokens=num_tokens))

    @torch.no_grad()
    def lookup(self, codes: Tensor) -> Tensor:
        return self._tokenizer.lookup(codes)

    def codebook_sizes(self) -> tuple[int, ...] | None:
        return self._tokenizer.codebook_sizes


def _metrics(context: RunContext) -> list[str]:
    """Return those of the plan's metrics that tokenizers are measured by."""
    return [name for name in context.plan.metrics if METRICS.load(name).of_reconstructions]


def _protocols(context: RunContext) -> dict[str, dict[str, Any]]:
    """Return fingerprint -> fields of all that the plan measures."""
    todo = measurements(
        _metrics(context),
        context.val_data,
        context.train_data,
        context.plan.evaluate,
        context.store.cache_dir,
        context.spec.config.train.precision,
    )
    return {each.protocol.fingerprint(): each.protocol.fields() for each in todo}


def _keep_pictures(context: RunContext, reconstruct: Reconstruct, codec: Codec, point: Point) -> None:
    folder = context.store.samples_dir(context.spec.run_id)
    paths = [folder / f"{point.name}_original.png", folder / f"{point.name}_reconstruction.png"]
    if all(path.exists() for path in paths):
        return
    strips = picture_strip(reconstruct, context.val_data, point, context.plan.evaluate.num_pictures, codec)
    for path, images in zip(paths, strips, strict=True):
        _write_strip(path, images)


def _write_strip(path: Path, images: Tensor) -> None:
    """Write uint8 images (num, 3, height, width) side by side as one PNG, whole or not at all."""
    strip = np.concatenate(list(images.permute(0, 2, 3, 1).numpy()), axis=1)
    with replacing(path) as file:
        Image.fromarray(strip).save(file, format="png")
