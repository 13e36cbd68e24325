"""Count FLOPs and parameters and measure speed and memory at the plan's points."""

from __future__ import annotations

import time

from vtbench.cost.tokenizer import measure_tokenizer
from vtbench.evaluate.suite import Point, evaluation_points, validation_indices
from vtbench.runner.context import RunContext
from vtbench.schema.base import parse_resolution
from vtbench.schema.record import StageRecord

NAME = "measure_cost"


def run(context: RunContext) -> None:
    """Measure the points whose GFLOPs the record lacks."""
    evaluate, writer, started = context.plan.evaluate, context.writer, time.monotonic()
    known = {
        (v.params.get("resolution"), v.params.get("num_tokens")) for v in writer.record.metrics if v.name == "gflops"
    }
    missing = [p for p in evaluation_points(evaluate) if (p.resolution, p.num_tokens) not in known]
    if missing:
        _measure(context, missing)
    if missing or not context.is_done(NAME):
        writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))


def _measure(context: RunContext, points: list[Point]) -> None:
    evaluate = context.plan.evaluate
    model = context.trained_tokenizer()
    indices = validation_indices(context.val_data, evaluate.batch_size)
    for resolution in dict.fromkeys(point.resolution for point in points):
        images = context.val_data.images(indices, parse_resolution(resolution)).float() / 255
        lengths = [point.num_tokens for point in points if point.resolution == resolution]
        values = measure_tokenizer(
            model,
            images,
            checkpoint=context.weights_id,
            num_tokens=lengths,
            repeats=evaluate.throughput_repeats,
        )
        context.writer.add_metrics(values)
