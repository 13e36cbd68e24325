"""Count FLOPs and parameters and measure speed and memory at the plan's points."""

from __future__ import annotations

import time

import torch

from vtbench.cost.generation import GenerationCost, measure_generation
from vtbench.cost.tokenizer import measure_tokenizer
from vtbench.evaluate.suite import Point, evaluation_points, validation_indices
from vtbench.runner.context import RunContext
from vtbench.runner.stages.evaluate_generation import SampledModel
from vtbench.schema.record import StageRecord

NAME = "measure_cost"


def run(context: RunContext) -> None:
    """Measure the points whose GFLOPs the record lacks: a generator's images, else a tokenizer's reconstructions."""
    if context.spec.config.generator is not None:
        _run_generator(context)
        return
    evaluate, writer, started = context.plan.evaluate, context.writer, time.monotonic()
    known = [v.params for v in writer.record.metrics if v.name == "gflops"]
    missing = [p for p in evaluation_points(evaluate) if not any(p.params == _place(params) for params in known)]
    if missing:
        _measure(context, missing)
    if missing or not context.is_done(NAME):
        writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))


def _run_generator(context: RunContext) -> None:
    generation, writer, started = context.plan.evaluate.generation, context.writer, time.monotonic()
    known = [v.params for v in writer.record.metrics if v.name == "gflops"]
    points = () if generation is None else context.generator.points(generation)
    lacking = {(p.sampling, p.num_tokens) for p in points if {**p.params, "convention": "full"} not in known}
    # seconds are compared from size to size, so one size that lacks has all of them measured, in one go
    missing = [point for point in points if (point.sampling, point.num_tokens) in lacking]
    if generation is not None and missing:
        model = SampledModel(context, generation.condition, generation.cfg_schedule)
        labels = torch.arange(generation.batch_size) % model.generator.num_classes
        seeds = range(generation.batch_size)
        cost = GenerationCost(
            generator=model.generator,
            tokenizer=model.tokenizer,
            sample=lambda sampling, num_tokens: model.sample(labels, seeds, sampling, num_tokens),
            decode=model.decode,
            checkpoint=context.weights_id,
            batch_size=generation.batch_size,
            repeats=context.plan.evaluate.throughput_repeats,
            device=context.device,
        )
        for values in measure_generation(cost, missing):
            writer.add_metrics(values)
    if missing or not context.is_done(NAME):
        writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))


def _measure(context: RunContext, points: list[Point]) -> None:
    evaluate = context.plan.evaluate
    model = context.trained_tokenizer()
    indices = validation_indices(context.val_data, evaluate.batch_size)
    for resolution, route in dict.fromkeys((point.resolution, point.route) for point in points):
        alike = [point for point in points if (point.resolution, point.route) == (resolution, route)]
        images = context.val_data.images(indices, alike[0].input_size).float() / 255
        values = measure_tokenizer(
            model,
            images,
            checkpoint=context.weights_id,
            num_tokens=[point.num_tokens for point in alike],
            repeats=evaluate.throughput_repeats,
            decode_size=alike[0].decode_size,
            place={name: value for name, value in alike[0].params.items() if name != "num_tokens"},
        )
        context.writer.add_metrics(values)


def _place(params: dict[str, str | int | float | None]) -> dict[str, str | int | float | None]:
    """Return what of a value's `params` names its point."""
    return {name: value for name, value in params.items() if name in ("resolution", "num_tokens", "route")}
