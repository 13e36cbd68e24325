"""Measures how well images survive being tokenized, at a list of (resolution, length) points.

Each point draws its validation images at its own resolution, reconstructs them once, and all metrics share what is
taken of them (`vtbench.evaluate.one_pass`). The model is a few callables: the suite knows no tokenizer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import UInt8
from torch import Tensor

from vtbench.data.dataset import ImageDataset
from vtbench.errors import DataError
from vtbench.evaluate import METRICS
from vtbench.evaluate.kept_rows import point_name, write_index
from vtbench.evaluate.mean_image import MeanImagePsnr
from vtbench.evaluate.metric import Metric, Result
from vtbench.evaluate.one_pass import measure
from vtbench.evaluate.protocol import dataset_protocol
from vtbench.evaluate.reconstructions import Codec, Reconstruct, Reconstructions
from vtbench.schema.base import Resolution, parse_resolution
from vtbench.schema.protocol import Protocol
from vtbench.schema.record import MetricValue
from vtbench.schema.study import EvaluateConfig, Route
from vtbench.seeding import rng

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Point:
    """Where a tokenizer is measured: a resolution `"HxW"` and a number of tokens (None: the model's full length).

    `route` says how the reconstruction comes to that size, if not by encoding and decoding at it.
    """

    resolution: Resolution
    num_tokens: int | None = None
    route: Route | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return parse_resolution(self.resolution)

    @property
    def params(self) -> dict[str, str | int | float | None]:
        """The point as `MetricValue.params`."""
        way = {} if self.route is None else {"route": self.route.name}
        return {"resolution": self.resolution, "num_tokens": self.num_tokens, **way}

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of what is encoded, in pixels."""
        return self.size if self.route is None else parse_resolution(self.route.input)

    @property
    def decode_size(self) -> tuple[int, int]:
        """Height and width of what is decoded, in pixels."""
        return self.size if self.route is None else parse_resolution(self.route.decode)

    @property
    def name(self) -> str:
        """The point's folder."""
        return point_name(self.resolution, self.num_tokens, None if self.route is None else self.route.name)


@dataclass(frozen=True)
class Measurement:
    """A number to be taken at every point: which metric takes it, made how, under which protocol."""

    metric: type[Metric]
    make: Callable[[Point], Metric]
    protocol: Protocol

    def value(self, point: Point, checkpoint: str, result: Result) -> MetricValue:
        """Return a result as it is stored."""
        return MetricValue(
            name=self.metric.name,
            metric_version=self.metric.version,
            value=result.value,
            interval=result.interval,
            without_blocks=result.without_blocks,
            num_samples=self.protocol.num_samples,
            params=point.params,
            protocol=self.protocol.fingerprint(),
            checkpoint=checkpoint,
        )


def evaluation_points(config: EvaluateConfig) -> tuple[Point, ...]:
    """Return every resolution, then every route, at every length, in the config's order."""
    places = [(resolution, config.route(resolution, name)) for resolution, name in config.places]
    return tuple(Point(resolution, num, route) for resolution, route in places for num in config.num_tokens)


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


def measurements(
    metrics: Sequence[str],
    dataset: ImageDataset,
    train_dataset: ImageDataset,
    config: EvaluateConfig,
    cache_dir: Path,
    precision: str = "fp32",
) -> list[Measurement]:
    """Return what is measured at every point: the mean image's PSNR and the named metrics.

    Args:
        metrics: names in the `METRICS` table.
        dataset: the validation split.
        train_dataset: the training split, for the mean image.
        config: how many images, in which batches.
        cache_dir: where the mean image is kept.
        precision: of the model's forward pass.
    """
    num_samples = min(config.num_samples, len(dataset))
    protocol = dataset_protocol(dataset, num_samples, config.batch_size, precision)

    def mean_image(point: Point) -> Metric:
        return MeanImagePsnr(train_dataset, point.size, cache_dir)

    floor = protocol.of_metric({**MeanImagePsnr.protocol(), "train": train_dataset.content_key})
    found = [Measurement(MeanImagePsnr, mean_image, floor)]
    for name in metrics:
        metric: type[Metric] = METRICS.load(name)
        found.append(Measurement(metric, _same_everywhere(metric), protocol.of_metric(metric.protocol())))
    return found


def _same_everywhere(metric: type[Metric]) -> Callable[[Point], Metric]:
    return lambda point: metric()


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
    measured_dir: Path | None = None,
    codec: Codec | None = None,
    device: torch.device | None = None,
) -> Iterator[list[MetricValue]]:
    """Measure reconstructions point by point.

    Args:
        reconstruct: the model; gradients are off while it runs. It is called only where rows are not kept on disk.
        dataset: the validation split; the first `config.num_samples` of a fixed permutation are measured.
        points: where to measure; see `evaluation_points`.
        metrics: names in the `METRICS` table. `psnr_mean_image`, the PSNR of answering every image with the mean
            training image, is always measured with them: what a model that has learned nothing would get.
        config: how many images, and how many of them at once.
        checkpoint: which weights `reconstruct` has; part of each value's key.
        known: keys of values that need not be measured again.
        cache_dir: where features of the reference images are kept for all runs.
        on_progress: called with (images done, images in all) after each batch.
        train_dataset: the training split, for the mean image.
        precision: of the model's forward pass; recorded.
        measured_dir: where the run keeps the rows of its images, so that an interrupted evaluation goes on and later
            metrics need no model where their rows are there; nothing is kept if None.
        codec: the model in two halves, for metrics of codes.
        device: where metrics run; the CPU if not given.

    Yields:
        The new values of each point, in the order of `points`; an empty list where all were known.

    Raises:
        DataError: the validation split is empty, too small for a metric, or lacks what a metric needs.
        ResolutionError: a resolution is too small for a metric, or `reconstruct` returned another shape.
        TrainingError: a reconstruction holds NaN or infinite values.
    """
    indices = validation_indices(dataset, config.num_samples)
    todo = measurements(metrics, dataset, train_dataset, config, cache_dir, precision)
    missing = [[m for m in todo if m.value(point, checkpoint, Result(0.0)).key not in known] for point in points]
    total = len(indices) * sum(map(bool, missing))
    images = dataset_protocol(dataset, len(indices), config.batch_size, precision)
    done = 0
    for point, wanted in zip(points, missing, strict=True):
        about = {"images": images.fields(), "point": point.params, "checkpoint": checkpoint}
        source = Reconstructions(
            reconstruct, dataset, indices, point.size, point.num_tokens, config.batch_size, about, codec, point.route
        )
        before = done
        tell = None if on_progress is None else (lambda num, before=before: on_progress(before + num, total))
        with _folder(measured_dir, point) as folder:
            yield _measure_point(wanted, point, checkpoint, source, folder, cache_dir, device, tell) if wanted else []
        done += len(indices) if wanted else 0


def picture_strip(
    reconstruct: Reconstruct, dataset: ImageDataset, point: Point, num_pictures: int, codec: Codec | None = None
) -> tuple[UInt8[Tensor, "num_pictures 3 height width"], UInt8[Tensor, "num_pictures 3 height width"]]:
    """Return the first measured images at `point` and their reconstructions, in [0, 255] on the CPU.

    Every model sees the same images; there are fewer than `num_pictures` if the data set has fewer. The way of a route
    needs the codec.
    """
    indices = validation_indices(dataset, num_pictures)
    reference = dataset.images(indices, point.size)
    source = Reconstructions(
        reconstruct, dataset, indices, point.size, point.num_tokens, len(indices), {}, codec, point.route
    )
    produced, _ = source.produced(range(len(indices)), reference, 0.0, False)
    return reference, produced.cpu()


def _measure_point(
    wanted: Sequence[Measurement],
    point: Point,
    checkpoint: str,
    source: Reconstructions,
    folder: Path,
    cache_dir: Path,
    device: torch.device | None,
    on_progress: Callable[[int], None] | None,
) -> list[MetricValue]:
    """Return the values of one point, and leave beside their rows which rows they are of."""
    running = [each.make(point) for each in wanted]
    taken = measure(running, source, folder, cache_dir, device=device, on_progress=on_progress)
    values = []
    for each, metric in zip(wanted, running, strict=True):
        result = metric.compute(taken.measured)
        value = each.value(point, checkpoint, result)
        files = {quantity.key: taken.files[quantity.key] for quantity in metric.quantities()}
        write_index(taken.folder, value, files, result.params)
        values.append(value)
    return values


@contextmanager
def _folder(measured_dir: Path | None, point: Point) -> Iterator[Path]:
    """Yield where a point's rows are kept: for good, or for as long as they are needed."""
    if measured_dir is not None:
        yield measured_dir / point.name
        return
    with TemporaryDirectory(prefix="vtbench-") as folder:
        yield Path(folder)
