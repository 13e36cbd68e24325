"""Measures how well images survive being tokenized, at a list of (resolution, length) points.

Each point draws its validation images at its own resolution, reconstructs them once, and shows every pair to all
metrics. The model is a callable: the suite knows no tokenizer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vtbench.data.dataset import ImageDataset
from vtbench.errors import DataError, ResolutionError, TrainingError
from vtbench.evaluate import METRICS
from vtbench.evaluate.mean_image import MeanImagePsnr
from vtbench.evaluate.metric import Metric
from vtbench.evaluate.protocol import Protocol, to_uint8
from vtbench.schema.base import Resolution, parse_resolution
from vtbench.schema.record import MetricValue
from vtbench.schema.study import EvaluateConfig
from vtbench.seeding import rng

Reconstruct = Callable[[Float[Tensor, "batch 3 height width"], int | None], Float[Tensor, "batch 3 height width"]]
"""(images in [0, 1] on the CPU, number of tokens or None for all) -> reconstructions of that shape, on any device."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """Where a tokenizer is measured: a resolution `"HxW"` and a number of tokens (None: the model's full length)."""

    resolution: Resolution
    num_tokens: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return parse_resolution(self.resolution)

    @property
    def params(self) -> dict[str, str | int | float | None]:
        """The point as `MetricValue.params`."""
        return {"resolution": self.resolution, "num_tokens": self.num_tokens}


@dataclass(frozen=True)
class _Measurement:
    """A number to be taken at every point: which metric takes it, made how, under which protocol."""

    metric: type[Metric]
    make: Callable[[Point], Metric]
    protocol: Protocol

    def value(self, point: Point, checkpoint: str, value: float) -> MetricValue:
        """Return the number as it is stored."""
        return MetricValue(
            name=self.metric.name,
            metric_version=self.metric.version,
            value=value,
            num_samples=self.protocol.num_samples,
            params=point.params,
            protocol=self.protocol.fingerprint(),
            checkpoint=checkpoint,
        )


def evaluation_points(config: EvaluateConfig) -> tuple[Point, ...]:
    """Return every resolution at every length, in the config's order."""
    return tuple(Point(resolution, num) for resolution in config.resolutions for num in config.num_tokens)


def validation_indices(dataset: ImageDataset, num_samples: int) -> list[int]:
    """Return the images that are measured: the first of a fixed permutation, so a larger sample contains a smaller one.

    Where the data set has fewer than `num_samples`, all are taken and a warning is logged.

    Raises:
        DataError: the data set is empty.
    """
    if not len(dataset):
        raise DataError("There are no validation images to measure on.")
    if len(dataset) < num_samples:
        _log.warning("%d validation images were asked for; all %d there are will be used.", num_samples, len(dataset))
    return [int(index) for index in rng(0, "evaluate", "val").permutation(len(dataset))[:num_samples]]


def evaluate_reconstruction(
    reconstruct: Reconstruct,
    dataset: ImageDataset,
    points: Sequence[Point],
    metrics: Sequence[str],
    config: EvaluateConfig,
    checkpoint: str,
    known: Collection[str],
    cache_dir: Path,
    on_progress: Callable[[int, int], None] | None = None,
    *,
    train_dataset: ImageDataset,
    precision: str = "fp32",
) -> Iterator[list[MetricValue]]:
    """Measure reconstructions point by point.

    Args:
        reconstruct: the model; gradients are off while it runs.
        dataset: the validation split; the first `config.num_samples` of a fixed permutation are measured.
        points: where to measure; see `evaluation_points`.
        metrics: names in the `METRICS` table. `psnr_mean_image`, the PSNR of answering every image with the mean
            training image at that resolution, is measured besides.
        config: number of samples and batch size.
        checkpoint: id of the weights that `reconstruct` holds.
        known: keys of values that are stored already; these are not measured again.
        cache_dir: where features of the reference images are kept for all runs.
        on_progress: called with (images done, images in all) after each batch.
        train_dataset: the training split, for the mean image.
        precision: of the model's forward pass; recorded.

    Yields:
        The new values of each point, in the order of `points`; an empty list where all were known.

    Raises:
        DataError: the validation split is empty, or too small for a metric.
        ResolutionError: a resolution is too small for a metric, or `reconstruct` returned another shape.
        TrainingError: a reconstruction holds NaN or infinite values.
    """
    indices = validation_indices(dataset, config.num_samples)
    protocol = Protocol(
        content_key=dataset.content_key, num_samples=len(indices), batch_size=config.batch_size, precision=precision
    )
    measurements = _measurements(metrics, protocol, train_dataset, cache_dir)
    todo = [[m for m in measurements if m.value(point, checkpoint, 0.0).key not in known] for point in points]
    total = len(indices) * sum(map(bool, todo))
    done = 0
    for point, missing in zip(points, todo, strict=True):
        running = [m.make(point) for m in missing]
        for metric in running:
            metric.use_cache(protocol.reference_key(point.resolution), cache_dir)
        for start in range(0, len(indices) if missing else 0, config.batch_size):
            batch = indices[start : start + config.batch_size]
            reference, produced = _reconstruct(reconstruct, dataset, batch, point)
            for metric in running:
                metric.update(reference, produced)
            done += len(batch)
            if on_progress is not None:
                on_progress(done, total)
        yield [m.value(point, checkpoint, metric.compute()) for m, metric in zip(missing, running, strict=True)]


def picture_strip(
    reconstruct: Reconstruct, dataset: ImageDataset, point: Point, num_pictures: int
) -> tuple[UInt8[Tensor, "num_pictures 3 height width"], UInt8[Tensor, "num_pictures 3 height width"]]:
    """Return the first measured images at `point` and their reconstructions, in [0, 255] on the CPU.

    Every model sees the same images; there are fewer than `num_pictures` if the data set has fewer.
    """
    indices = validation_indices(dataset, num_pictures)
    reference, produced = _reconstruct(reconstruct, dataset, indices, point)
    return reference.cpu(), produced.cpu()


def _measurements(
    metrics: Sequence[str], protocol: Protocol, train_dataset: ImageDataset, cache_dir: Path
) -> list[_Measurement]:
    """Return what is to be measured at every point: the mean image's PSNR and the named metrics."""

    def baseline(point: Point) -> Metric:
        return MeanImagePsnr(train_dataset, point.size, cache_dir)

    floor = replace(protocol, metric=MeanImagePsnr.protocol() | {"train": train_dataset.content_key})
    found = [_Measurement(MeanImagePsnr, baseline, floor)]
    for name in metrics:
        metric: type[Metric] = METRICS.load(name)
        found.append(_Measurement(metric, partial(_make, metric), replace(protocol, metric=metric.protocol())))
    return found


def _make(metric: type[Metric], point: Point) -> Metric:
    """Return a metric that is the same at every point."""
    return metric()


@torch.no_grad()
def _reconstruct(
    reconstruct: Reconstruct, dataset: ImageDataset, indices: Sequence[int], point: Point
) -> tuple[UInt8[Tensor, "batch 3 height width"], UInt8[Tensor, "batch 3 height width"]]:
    """Return images at `point` and their reconstructions, both where the model left the latter."""
    reference = dataset.images(indices, point.size)
    produced = reconstruct(reference.float() / 255, point.num_tokens)
    where = f"at {point.resolution}, {point.num_tokens or 'all'} tokens"
    if produced.shape != reference.shape:
        raise ResolutionError(
            f"The reconstructions {where} have shape {tuple(produced.shape)}, the images {tuple(reference.shape)}."
        )
    if not produced.isfinite().all():
        raise TrainingError(f"The reconstructions {where} hold NaN or infinite values: the training has diverged.")
    return reference.to(produced.device), to_uint8(produced.float())
