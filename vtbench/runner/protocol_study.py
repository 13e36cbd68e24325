"""A protocol study -> values: one set of reconstructions, measured by each arm in its own way.

The reconstructions are made once, in float32, from the images as the reference arm sees them. An arm then has
references of its own (crop, resize, file format, or other images) and its own conversion of the reconstructions to 8
bits. Features are kept under the digest of the very pixels: arms that see the same images share them, and a study that
was stopped goes on.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vtbench.data import open_dataset
from vtbench.data.resize import to_array
from vtbench.errors import DataError, WeightsError
from vtbench.evaluate import METRICS
from vtbench.evaluate.metric import Batch, Measured, Metric, Result
from vtbench.evaluate.protocol import ImagePath, plain_bilinear
from vtbench.evaluate.reference_features import ReferenceFeatures, digest
from vtbench.evaluate.suite import validation_indices
from vtbench.features import FEATURES
from vtbench.schema.base import content_hash, parse_resolution
from vtbench.schema.preset import NO_ROUNDING, PLAIN_BILINEAR, Preset, find_preset
from vtbench.schema.protocol import Protocol
from vtbench.schema.protocol_study import Degradation, ProtocolArm, ProtocolStudy

_BLOCK = 32
Images = UInt8[Tensor, "num_images 3 height width"]


@dataclass(frozen=True)
class ProtocolValue:
    """One number of a protocol study; `degradation` names the reconstructions."""

    arm: str
    degradation: str
    metric: str
    value: float
    protocol: Protocol
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ProtocolOutcome:
    """What a study found: its values, and the metrics that could not be taken, with the reason."""

    values: tuple[ProtocolValue, ...]
    left_out: dict[str, str]


OnCell = Callable[[ProtocolArm, Degradation], None]
"""Called before an arm measures one set of reconstructions."""


def measure_study(study: ProtocolStudy, cache_dir: Path, on_cell: OnCell | None = None) -> ProtocolOutcome:
    """Measure every arm on every set of reconstructions, on the CPU.

    Args:
        study: what to measure.
        cache_dir: where images and features are kept.
        on_cell: told of each arm and set.

    Raises:
        DataError: the images are missing.
        ResolutionError: a protocol that does not resize was given images that are too small.
    """
    metrics, left_out = _metrics(study.metrics)
    data = _Data(study, cache_dir)
    made = {each.name: degraded(data.references(study.arm(study.reference_arm)), each) for each in study.degradations}
    values = []
    for arm in study.arms:
        references = data.references(arm)
        for each in study.degradations:
            if on_cell is not None:
                on_cell(arm, each)
            for metric in metrics:
                cell = _Cell(arm, metric, cache_dir)
                if not cell.applies:
                    continue
                found = cell.measure(references, made[each.name])
                values.append(
                    ProtocolValue(arm.name, each.name, metric.name, found.value, cell.protocol(data), found.interval)
                )
    return ProtocolOutcome(tuple(values), left_out)


def degraded(images: Images, degradation: Degradation) -> Float32[Tensor, "num_images 3 height width"]:
    """Return reconstructions in [0, 1] of images in [0, 255]: what a degradation does to them."""
    if degradation.kind == "jpeg":
        return as_jpeg(images, int(degradation.strength)).float() / 255
    return torch.cat([_blurred(block.float() / 255, degradation.strength) for block in images.split(_BLOCK)])


def as_jpeg(images: Images, quality: int) -> Images:
    """Return images as they come back from JPEG files of a quality, with Pillow's chroma subsampling."""
    arrays = []
    for image in images:
        buffer = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(buffer, "jpeg", quality=quality)
        arrays.append(to_array(Image.open(buffer)))
    return torch.from_numpy(np.stack(arrays))


def _blurred(images: Float[Tensor, "batch 3 height width"], sigma: float) -> Float[Tensor, "batch 3 height width"]:
    """Return images blurred by a Gaussian of 4 standard deviations to each side; edges are repeated."""
    reach = max(1, round(4 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
    window = torch.exp(-0.5 * (offsets / sigma) ** 2)
    window = (window / window.sum()).expand(3, 1, 1, -1)
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, window, groups=3), window.transpose(2, 3), groups=3)


def _metrics(names: Sequence[str]) -> tuple[list[Metric], dict[str, str]]:
    """Return the metrics whose weights are there, and why others are left out."""
    found, left_out = [], {}
    for name in names:
        kind: type[Metric] = METRICS.load(name)
        try:
            kind.check()
        except WeightsError as error:
            # where weights are looked for is this machine's affair; a report is committed
            left_out[name] = str(error).partition(" (looked in")[0] + "."
            continue
        found.append(kind())
    return found, left_out


class _Data:
    """The sources, and the reference images of each arm."""

    def __init__(self, study: ProtocolStudy, cache_dir: Path) -> None:
        self.study = study
        self.size = parse_resolution(study.resolution)
        self.source_size = parse_resolution(study.source_resolution)
        self.val = open_dataset(study.data, "val", cache_dir)
        self.num_samples = min(study.num_samples, len(self.val))

    def indices(self, arm: ProtocolArm) -> list[int]:
        """Return the positions of an arm's references.

        Raises:
            DataError: there are not enough for others than the measured ones.
        """
        found = validation_indices(self.val, self.study.num_samples)
        if arm.reference == "same images":
            return found
        others = validation_indices(self.val, 2 * self.study.num_samples)[len(found) :]
        if len(others) < len(found):
            raise DataError(
                f"arms.{arm.name}.reference: only {len(self.val)} images are there; 'other images' needs twice as many"
                f" as num_samples, {self.study.num_samples}. Make num_samples smaller."
            )
        return others

    def references(self, arm: ProtocolArm) -> Images:
        """Return an arm's references as 8-bit files: cropped, resized and stored, not yet in the model's range."""
        indices = self.indices(arm)
        path = ImagePath.of(arm.resolved())
        first = ImagePath.of(find_preset(arm.prepared_by)) if arm.prepared_by is not None else None
        arrays = []
        for start in range(0, len(indices), _BLOCK):
            for source in self.val.images(indices[start : start + _BLOCK], self.source_size):
                image = Image.fromarray(source.permute(1, 2, 0).numpy())
                if first is not None:
                    image = Image.fromarray(first.resize(image, self.size).transpose(1, 2, 0))
                arrays.append(path.resize(image, self.size))
        images = torch.from_numpy(np.stack(arrays))
        return images if arm.reference_jpeg is None else as_jpeg(images, arm.reference_jpeg)


class _Cell:
    """One metric of one arm."""

    def __init__(self, arm: ProtocolArm, metric: Metric, cache_dir: Path) -> None:
        self._arm, self._metric, self._cache_dir = arm, metric, cache_dir
        self._preset: Preset = arm.resolved()
        self._network = next((each.network for each in metric.quantities() if each.network is not None), None)
        self._fields = self._preset.of(over_features=self._network is not None)
        self._path = ImagePath.of(self._preset, over_features=self._network is not None)
        self._resized = self._network is not None and self._fields["preprocessing"] == PLAIN_BILINEAR

    @property
    def applies(self) -> bool:
        """Whether the metric can be taken: pairs need references of the same images."""
        pairs = any(each.side == "pair" for each in self._metric.quantities())
        return not pairs or self._arm.reference == "same images"

    def measure(self, references: Images, reconstructions: Float[Tensor, "num_images 3 height width"]) -> Result:
        """Return the metric's value with its interval.

        Args:
            references: 8-bit files.
            reconstructions: in [0, 1].
        """
        reference = torch.cat([self._seen(self._path.again(block)) for block in references.split(_BLOCK)])
        produced = torch.cat([self._seen(self._path.to_levels(block)) for block in reconstructions.split(_BLOCK)])
        rows: dict[str, np.ndarray] = {}
        for quantity in self._metric.quantities():
            if quantity.network is not None:
                images = reference if quantity.side == "reference" else produced
                keep = ReferenceFeatures([quantity], self._cache_dir, torch.device("cpu"))
                of = digest(images)
                keep.take(images, of)
                rows[quantity.key] = np.load(keep.path(quantity, of), allow_pickle=False)
            else:
                parts = [
                    self._metric.rows(Batch(one, two, None, None, []))[quantity.key].numpy()
                    for one, two in zip(reference.split(_BLOCK), produced.split(_BLOCK), strict=True)
                ]
                rows[quantity.key] = np.concatenate(parts)
        return self._metric.compute(Measured(rows, paired=self._arm.reference == "same images"))

    def protocol(self, data: _Data) -> Protocol:
        """Return how the value is measured."""
        arm, fields = self._arm, dict(self._fields)
        preprocessing = fields.pop("preprocessing")
        jpeg = "" if arm.reference_jpeg is None else f", JPEG files of quality {arm.reference_jpeg}"
        prepared = f", prepared by {arm.prepared_by}" if arm.prepared_by is not None else ""
        own: dict[str, Any] = {
            "content_key": data.val.content_key,
            "num_samples": data.num_samples,
            "selection": f"first of permutation 0, sources of {data.study.source_resolution}{prepared}",
            "reference": arm.reference + jpeg,
            "reference_key": None if arm.reference == "same images" else content_hash(data.indices(arm)),
        }
        found = Protocol.model_validate({**fields, **own}).of_metric(self._metric.protocol())
        return found.replace(preprocessing=preprocessing) if self._resized else found

    def _seen(self, levels: Tensor) -> Images:
        """Return images in [0, 255] as the metric or its network sees them."""
        if self._resized:
            side = FEATURES.load(str(self._network)).input_size
            return plain_bilinear(levels.float(), (side, side))
        assert self._path.rounding != NO_ROUNDING
        return levels
