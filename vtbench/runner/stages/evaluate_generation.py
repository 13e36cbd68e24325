"""Sample from the trained generator, measure the samples at the plan's points and keep a few pictures.

Several processes of a run share out the samples; the first one alone keeps values and pictures.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int, Int64, UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from vtbench.distributed import is_main
from vtbench.evaluate import METRICS
from vtbench.evaluate.generated import Sampler
from vtbench.evaluate.generation import Generation, GenerationData, evaluate_generation
from vtbench.models.generators import guidance
from vtbench.models.generators.base import Condition, Generator
from vtbench.models.tokenizers.base import Geometry, Tokenizer
from vtbench.runner.context import RunContext
from vtbench.schema.base import Resolution, parse_resolution
from vtbench.schema.generation import CfgSchedule, GenerationConfig, GenerationPoint, Sampling
from vtbench.schema.record import StageRecord
from vtbench.store.files import replacing
from vtbench.train.step import autocast

NAME = "evaluate_generation"


def run(context: RunContext) -> None:
    """Measure what the record lacks; codes and rows that are on disk are not made again."""
    config, writer = context.plan.evaluate.generation, context.writer
    if config is None:
        return
    started, num_new = time.monotonic(), 0
    points = context.generator.points(config)
    sizes = list(dict.fromkeys(parse_resolution(point.resolution) for point in points))
    for split in (context.train_data, context.val_data):
        split.prepare(sizes)
    generation = _generation(context, config)
    protocols = generation.protocols()
    known = {value.key for value in writer.record.metrics}
    measured = evaluate_generation(
        generation,
        points,
        known,
        config.num_samples,
        lambda done, total: writer.progress(NAME, done, total),
    )
    for values in measured:
        if values:
            writer.add_metrics(values, {value.protocol: protocols[value.protocol] for value in values})
            num_new += len(values)
    if is_main():
        for point in points:
            _keep_pictures(context, generation, point, config.num_shown)
    if num_new or not context.is_done(NAME):
        writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))


class SampledModel:
    """A run's generator and tokenizer, loaded when they are first needed, which may be never.

    Args:
        context: of the run.
        condition: size that a generator with such a condition is asked for; None: the first that it has learned.
        schedule: of guidance.
    """

    def __init__(self, context: RunContext, condition: Resolution | None, schedule: CfgSchedule) -> None:
        self._context, self._schedule = context, schedule
        self._size = parse_resolution(condition or context.generator.tokens.resolutions[0])

    @cached_property
    def generator(self) -> Generator:
        """The trained generator."""
        return self._context.trained_generator()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The trained tokenizer."""
        return self._context.trained_tokenizer()

    @torch.no_grad()
    def sample(
        self, labels: Int64[Tensor, " batch"], seeds: Sequence[int], sampling: Sampling, num_tokens: int | None
    ) -> Int[Tensor, "batch num_codebooks tokens"]:
        """Return codes of images of these classes."""
        context, model = self._context, self.generator
        labels = labels.to(context.device)
        height, width = (torch.full(labels.shape, float(side), device=context.device) for side in self._size)
        with autocast(context.device, context.generator.train.precision):
            return model.generate(
                Condition(labels=labels, height=height, width=width),
                num_tokens,
                seeds=seeds,
                cfg_scale=scale_of(sampling.cfg_scale, self._schedule, model.max_num_tokens),
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
            )

    @torch.no_grad()
    def decode(
        self, codes: Int[Tensor, "batch num_codebooks tokens"], size: tuple[int, int], num_tokens: int | None
    ) -> Tensor:
        """Return the images of codes, (batch, 3, height, width) in [0, 1]."""
        device = self._context.device
        with autocast(device, self._context.spec.config.train.precision):
            return self.tokenizer.detokenize(codes.to(device), size, Geometry(num_tokens=num_tokens))


def scale_of(scale: float, schedule: CfgSchedule, max_num_tokens: int) -> guidance.Scale:
    """Return the strength of guidance along the tokens, which does not depend on how many of them are sampled."""
    if schedule.name == "cosine":
        return guidance.cosine(scale, schedule.power, max_num_tokens)
    if schedule.name == "interval":
        assert schedule.last is not None
        return guidance.interval(scale, schedule.first, schedule.last)
    return scale


def _generation(context: RunContext, config: GenerationConfig) -> Generation:
    model = SampledModel(context, config.condition, config.cfg_schedule)
    options = context.generator.model.options
    store, run_id = context.store, context.spec.run_id
    return Generation(
        Sampler(
            sample=model.sample,
            decode=model.decode,
            codebook_sizes=(options["codebook_size"],) * options.get("num_codebooks", 1),
            num_classes=options["num_classes"],
        ),
        config,
        [name for name in context.plan.metrics if METRICS.load(name).of_generations],
        context.weights_id,
        context.generator.train.precision,
        GenerationData(
            train=context.train_data,
            validation=context.val_data,
            cache_dir=store.cache_dir,
            measured_dir=store.measured_dir(run_id),
            written_dir=store.samples_dir(run_id),
            device=context.device,
        ),
    )


def _keep_pictures(context: RunContext, generation: Generation, point: GenerationPoint, num_shown: int) -> None:
    """Write a grid of samples, a row a class, and below each other samples and the training images nearest to them."""
    folder = context.store.samples_dir(context.spec.run_id)
    samples, neighbours = folder / f"{point.name}_samples.png", folder / f"{point.name}_neighbours.png"
    if not samples.exists():
        labels, rows = zip(*generation.picture_rows(point), strict=True)
        _write(samples, rows, [context.train_data.label_names[label] for label in labels])
    if not neighbours.exists():
        _write(neighbours, generation.nearest_pairs(point, num_shown))


def _write(path: Path, rows: Sequence[UInt8[Tensor, "num 3 height width"]], names: Sequence[str] = ()) -> None:
    """Write images as one PNG, each of `rows` side by side, shorter ones ending in white, with the `names` of rows."""
    strips = [np.concatenate(list(row.permute(0, 2, 3, 1).cpu().numpy()), axis=1) for row in rows]
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(s, ((0, 0), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in strips]
    said = PngInfo()
    if names:
        said.add_text("rows", json.dumps(list(names)))
    with replacing(path) as file:
        Image.fromarray(np.concatenate(padded, axis=0)).save(file, format="png", pnginfo=said)
