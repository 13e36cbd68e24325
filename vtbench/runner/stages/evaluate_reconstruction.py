"""Measure reconstructions at the plan's points and keep a few pictures of each."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from vtbench.evaluate.suite import Point, Reconstruct, evaluate_reconstruction, evaluation_points, picture_strip
from vtbench.runner.build import reconstructor
from vtbench.runner.context import RunContext
from vtbench.schema.record import StageRecord

NAME = "evaluate_reconstruction"


def run(context: RunContext) -> None:
    """Measure what the record lacks; values that are there are kept."""
    evaluate, train, writer = context.plan.evaluate, context.spec.config.train, context.writer
    points = evaluation_points(evaluate)
    started = time.monotonic()
    context.val_data.prepare([point.size for point in points])
    reconstruct = reconstructor(context.trained_tokenizer(), train.precision)
    measured = evaluate_reconstruction(
        reconstruct,
        context.val_data,
        points,
        context.plan.metrics,
        evaluate,
        context.weights_id,
        {value.key for value in writer.record.metrics},
        context.store.cache_dir,
        lambda done, total: writer.progress(NAME, done, total),
        train_dataset=context.train_data,
        precision=train.precision,
    )
    num_new = 0
    for point, values in zip(points, measured, strict=True):
        if values:
            writer.add_metrics(values)
            num_new += len(values)
        _keep_pictures(context, reconstruct, point)
    if num_new or not context.is_done(NAME):
        writer.set_stage(StageRecord(name=NAME, status="done", seconds=time.monotonic() - started))


def _keep_pictures(context: RunContext, reconstruct: Reconstruct, point: Point) -> None:
    folder = context.store.samples_dir(context.spec.run_id)
    length = "full" if point.num_tokens is None else str(point.num_tokens)
    stem = f"{point.resolution}_L{length}"
    paths = [folder / f"{stem}_original.png", folder / f"{stem}_reconstruction.png"]
    if all(path.exists() for path in paths):
        return
    folder.mkdir(parents=True, exist_ok=True)
    strips = picture_strip(reconstruct, context.val_data, point, context.plan.evaluate.num_pictures)
    for path, images in zip(paths, strips, strict=True):
        _write_strip(path, images)


def _write_strip(path: Path, images: Tensor) -> None:
    """Write uint8 images (num, 3, height, width) side by side as one PNG, by way of a temporary file."""
    strip = np.concatenate(list(images.permute(0, 2, 3, 1).numpy()), axis=1)
    temporary = path.with_suffix(".tmp")
    Image.fromarray(strip).save(temporary, format="png")
    temporary.replace(path)
