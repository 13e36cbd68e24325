"""Measures what a generator makes, at a grid of ways of sampling, sizes and lengths.

Tokens are sampled once for each way of sampling and kept; each point decodes them at its size, or a prefix of them, and
streams the images into its metrics (`vtbench.evaluate.one_pass`), without files unless `write_images` asks for them.
Beside them stand what validation images get in the place of samples: the best that there is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vtbench.data.dataset import ImageDataset
from vtbench.evaluate import METRICS
from vtbench.evaluate.generated import SEED, GeneratedImages, RealImages, Sampler, Selection, seeds_of
from vtbench.evaluate.kept_rows import write_index
from vtbench.evaluate.metric import Metric, Result
from vtbench.evaluate.metrics.memorisation import Memorisation
from vtbench.evaluate.neighbours import nearest
from vtbench.evaluate.one_pass import Taken, measure
from vtbench.evaluate.protocol import dataset_protocol
from vtbench.evaluate.sampled_codes import SampledCodes
from vtbench.evaluate.suite import validation_indices
from vtbench.schema.base import parse_resolution
from vtbench.schema.generation import GenerationConfig, GenerationPoint, Sampling
from vtbench.schema.protocol import Protocol
from vtbench.schema.record import MetricValue

REAL = "_real"
"""Ends the name of a value that validation images got in the place of samples."""

MOST_PIXELS = 700_000
"""Of a grid of samples in a report: nine classes of eight images at 96x96 fit, of two at 192x192."""


@dataclass(frozen=True, kw_only=True)
class GenerationData:
    """The images that samples are measured with.

    Attributes:
        train: the training split: the reference.
        validation: the validation split: what real images get.
        cache_dir: where features of real images are kept for all runs.
        measured_dir: where the run keeps codes and rows of its samples.
        written_dir: where samples are written, if they are to be.
        device: where metrics run.
    """

    train: ImageDataset
    validation: ImageDataset
    cache_dir: Path
    measured_dir: Path
    written_dir: Path
    device: torch.device


class Generation:
    """All that is measured of one generator's samples.

    Args:
        sampler: the model; called only for what is not on disk.
        config: what to measure.
        metrics: names in the `METRICS` table. `memorisation` is always measured with them.
        checkpoint: which weights the sampler has; part of each value's key.
        precision: of its forward pass; recorded.
        data: what to measure it with.
    """

    def __init__(
        self,
        sampler: Sampler,
        config: GenerationConfig,
        metrics: Sequence[str],
        checkpoint: str,
        precision: str,
        data: GenerationData,
    ) -> None:
        self._sampler, self._config, self._checkpoint, self._data = sampler, config, checkpoint, data
        self._metrics: list[type[Metric]] = [METRICS.load(name) for name in metrics]
        self._all: list[type[Metric]] = [*self._metrics, Memorisation]
        self._selection = Selection.of(config, data.train, sampler.num_classes)
        self._real_indices = validation_indices(data.validation, min(config.num_samples, len(data.validation)))
        self._protocol = self._images(precision)
        self._real: dict[str, Taken] = {}

    def protocols(self) -> dict[str, dict[str, Any]]:
        """Return fingerprint -> fields of all that is measured."""
        found = [self._protocol_of(each) for each in self._all]
        found += [self._protocol_of(each, real=True) for each in self._metrics if _of_images(each)]
        return {each.fingerprint(): each.fields() for each in found}

    def real_values(self, resolution: str, known: Collection[str]) -> list[MetricValue]:
        """Return what validation images get at a size, named `<metric>_real`, less what is known."""
        params = {"resolution": resolution}
        possible = [each for each in self._metrics if _of_images(each)]
        missing = [each for each in possible if self._value(each, params, Result(0.0), real=True).key not in known]
        if not missing:
            return []
        measured = self._real_rows(resolution).measured
        return [self._value(each, params, each().compute(measured), real=True) for each in missing]

    def values(
        self, point: GenerationPoint, known: Collection[str], on_progress: Callable[[int], None] | None = None
    ) -> list[MetricValue]:
        """Return what samples get at a point, less what is known.

        Args:
            point: where.
            known: keys of values that need not be measured again.
            on_progress: called with the number of images done by this process.

        Raises:
            DataError: a metric cannot be taken of samples, or there are too few of them.
            ResolutionError: the tokenizer cannot decode at this size, or a metric needs larger images.
            TrainingError: a sample holds NaN or infinite values.
        """
        missing = [kind for kind in self._all if self._key(kind, point) not in known]
        if not missing:
            return []
        running = [self._made(kind, point) for kind in missing]
        taken = self._taken(running, point, on_progress)
        values = []
        for metric in running:
            result = metric.compute(taken.measured)
            value = self._value(type(metric), point.params, result)
            files = {quantity.key: taken.files[quantity.key] for quantity in metric.quantities()}
            write_index(taken.folder, value, files, result.params)
            values.append(value)
        return values

    def picture_rows(self, point: GenerationPoint) -> list[tuple[int, UInt8[Tensor, "num 3 height width"]]]:
        """Return the samples that a report shows: the first of the first classes, a class and its batch each.

        Of large images there are fewer of each class, so that all together are at most `MOST_PIXELS`, but always one.
        """
        source, config = self._source(point), self._config
        num_classes = min(self._sampler.num_classes, config.num_classes_shown)
        fitting = MOST_PIXELS // (num_classes * math.prod(parse_resolution(point.resolution)))
        rows = self._selection.shown(self._sampler.num_classes, min(config.num_shown, max(1, fitting)))[:num_classes]
        images = source.some([position for row in rows for position in row])
        labels = [int(self._selection.labels[row[0]]) for row in rows]
        return list(zip(labels, images.split([len(row) for row in rows]), strict=True))

    def nearest_pairs(self, point: GenerationPoint, num: int) -> tuple[Tensor, Tensor]:
        """Return the samples that are nearest to a training image, and those images: uint8, (num, 3, height, width)."""
        metric = self._made(Memorisation, point)
        measured = self._taken([metric], point).measured
        produced, reference = measured.rows(Memorisation.produced()), measured.rows(Memorisation.reference())
        found = nearest(produced, reference)
        closest = np.argsort(found.distance, kind="stable")[:num].tolist()
        indices = [self._selection.reference[found.position[sample]] for sample in closest]
        size = parse_resolution(point.resolution)
        return self._source(point).some(closest), self._data.train.images(indices, size)

    def _made(self, kind: type[Metric], point: GenerationPoint) -> Metric:
        if kind is not Memorisation:
            return kind()
        rows = self._real_rows(point.resolution).measured.rows(Memorisation.produced())
        return Memorisation(rows)

    def _taken(
        self, metrics: Sequence[Metric], point: GenerationPoint, on_progress: Callable[[int], None] | None = None
    ) -> Taken:
        folder = self._data.measured_dir / point.name
        source = self._source(point)
        return measure(metrics, source, folder, self._data.cache_dir, device=self._data.device, on_progress=on_progress)

    def _source(self, point: GenerationPoint) -> GeneratedImages:
        data, batch_size = self._data, self._config.batch_size
        about = {"images": self._protocol.fields(), "point": point.params, "checkpoint": self._checkpoint}
        return GeneratedImages(
            self._sampler,
            point,
            parse_resolution(point.resolution),
            self._codes(point.sampling),
            self._selection,
            data.train,
            batch_size,
            about,
            data.written_dir / point.name if self._config.write_images else None,
        )

    def _codes(self, sampling: Sampling) -> SampledCodes:
        """Return the codes of one way of sampling, as long as the longest point needs."""
        lengths = self._config.num_tokens
        longest = None if None in lengths else max(length for length in lengths if length is not None)
        images = self._protocol.fields()
        about = {"images": images, "sampling": sampling.model_dump(), "length": longest, "weights": self._checkpoint}

        def sample(positions: range) -> Tensor:
            labels = torch.from_numpy(self._selection.labels[positions.start : positions.stop])
            return self._sampler.sample(labels, seeds_of(positions), sampling, longest)

        folder = self._data.measured_dir / "codes"
        return SampledCodes(folder, about, self._config.batch_size, max(self._sampler.codebook_sizes), sample)

    def _real_rows(self, resolution: str) -> Taken:
        """Return the rows of validation images; taken once for all runs."""
        if resolution not in self._real:
            data = self._data
            images = dataset_protocol(data.validation, len(self._real_indices), self._config.batch_size, "none")
            source = RealImages(
                data.validation,
                self._real_indices,
                data.train,
                self._selection.reference,
                parse_resolution(resolution),
                self._config.batch_size,
                {"images": images.fields(), "resolution": resolution, "reference": self._reference_words()},
            )
            held_out = Memorisation(np.empty((0, 1)))  # for the features that it needs of both sides
            running = [*(kind() for kind in self._metrics if _of_images(kind)), held_out]
            folder = data.cache_dir / "real_images"
            self._real[resolution] = measure(running, source, folder, data.cache_dir, device=data.device)
        return self._real[resolution]

    def _reference_words(self) -> str:
        return f"first {len(self._selection.reference)} of permutation {SEED} of {self._data.train.content_key}"

    def _images(self, precision: str) -> Protocol:
        """Return what all metrics of samples have in common."""
        config, train = self._config, self._data.train
        found = dataset_protocol(train, config.num_samples, config.batch_size, precision)
        way: dict[str, Any] = {"classes": config.classes, "num_classes": self._sampler.num_classes, "seed": SEED}
        way |= {f"cfg_schedule.{name}": value for name, value in config.cfg_schedule.model_dump().items()}
        way |= {"condition": config.condition}
        return found.replace(
            split="generated",
            selection="image i: class and seed are functions of i",
            reference="training split",
            reference_key=self._reference_words(),
            metric=way,
        )

    def _protocol_of(self, metric: type[Metric], real: bool = False) -> Protocol:
        images = self._protocol
        if real:
            num = len(self._real_indices)
            images = images.replace(
                split="val", selection="first of permutation 0", num_samples=num, precision=None, metric={}
            )
        return images.of_metric(metric.protocol())

    def _key(self, metric: type[Metric], point: GenerationPoint) -> str:
        return self._value(metric, point.params, Result(0.0)).key

    def _value(
        self, metric: type[Metric], params: dict[str, Any], result: Result, *, real: bool = False
    ) -> MetricValue:
        protocol = self._protocol_of(metric, real)
        return MetricValue(
            name=metric.name + REAL if real else metric.name,
            metric_version=metric.version,
            value=result.value,
            interval=result.interval,
            without_blocks=result.without_blocks,
            num_samples=protocol.num_samples,
            params=params,
            protocol=protocol.fingerprint(),
            checkpoint=self._checkpoint,
        )


def _of_images(kind: type[Metric]) -> bool:
    """Return whether a metric can be taken of images alone, without a model's codes."""
    return all(each.side in ("reference", "produced", "labels") and not each.perturb for each in kind().quantities())


def evaluate_generation(
    generation: Generation,
    points: Sequence[GenerationPoint],
    known: Collection[str],
    num_samples: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[list[MetricValue]]:
    """Yield the new values of each size's real images, then those of each point, in order; see `Generation`.

    Args:
        generation: what to measure.
        points: where.
        known: keys of values that need not be measured again.
        num_samples: images at each point.
        on_progress: called with (images done, images in all).
    """
    for resolution in dict.fromkeys(point.resolution for point in points):
        yield generation.real_values(resolution, known)
    total = num_samples * len(points)
    for number, point in enumerate(points):
        before = number * num_samples
        tell = None if on_progress is None else (lambda done, before=before: on_progress(before + done, total))
        yield generation.values(point, known, tell)
