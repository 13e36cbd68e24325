"""Measures a folder of images from any system against a folder of references, under a named protocol.

Both folders go through the protocol's image path: crop and resize, then the model's range and back to 8 bits, as if the
stored images were what the model returned. What the store holds already is not taken again, so a measurement that was
stopped goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from vtbench.data.dataset import Size
from vtbench.data.image_folder_flat import FlatFolder, pair
from vtbench.errors import DataError, VtbenchError
from vtbench.evaluate import METRICS
from vtbench.evaluate.metric import Batch, Metric, Result
from vtbench.evaluate.one_pass import Source, measure
from vtbench.evaluate.protocol import ImagePath, plain_bilinear
from vtbench.features import FEATURES
from vtbench.features.network import FEATURE_BATCH
from vtbench.schema.base import content_hash
from vtbench.schema.preset import PLAIN_BILINEAR, Preset
from vtbench.schema.protocol import Protocol

FOLDER = "folder"


@dataclass(frozen=True)
class FolderValue:
    """One number.

    Attributes:
        metric: which metric gave it.
        result: value and interval.
        protocol: how it was measured.
    """

    metric: type[Metric]
    result: Result
    protocol: Protocol


@dataclass(frozen=True)
class FolderPair:
    """What is measured and against what.

    Attributes:
        images: the images of a system.
        reference: what they are compared with.
        size: height and width at which, in pixels.
        preset: the protocol.
        paired: whether each image has a reference of its name.
        unpaired_because: why not, if not.
    """

    images: FlatFolder
    reference: FlatFolder
    size: Size
    preset: Preset
    paired: bool = field(init=False)
    unpaired_because: str = field(init=False)
    partners: list[int] = field(init=False)

    def __post_init__(self) -> None:
        try:
            partners, why = pair(self.images, self.reference), ""
        except DataError as error:
            partners, why = list(range(len(self.reference))), str(error)
        for name, value in {"partners": partners, "unpaired_because": why, "paired": not why}.items():
            object.__setattr__(self, name, value)

    def base(self, *, over_features: bool = False) -> Protocol:
        """Return what all metrics over pixels, or all over features, have in common."""
        fields = self.preset.of(over_features=over_features)
        del fields["preprocessing"]
        key = self.reference.content_key
        fields |= {"content_key": key, "reference_key": key, "reference": FOLDER, "split": FOLDER}
        selection = f"all files, at {self.size[0]}x{self.size[1]}"
        return Protocol.model_validate({**fields, "num_samples": len(self.images), "selection": selection})

    def protocol(self, metric: type[Metric]) -> Protocol:
        """Return how a metric measures these folders."""
        over_features = _network(metric()) is not None
        found = self.base(over_features=over_features).of_metric(metric.protocol())
        preprocessing = self.preset.fields["preprocessing"]
        resized = over_features and preprocessing == PLAIN_BILINEAR
        return found.replace(preprocessing=preprocessing) if resized else found


def problem(metric: type[Metric], folders: FolderPair) -> str | None:
    """Return why a metric cannot be taken of these folders, or None; tries it on one black image of the size."""
    quantities = metric().quantities()
    lacking = {each.side for each in quantities} - {"reference", "produced", "pair"}
    if lacking or any(each.perturb for each in quantities):
        what = " and ".join(sorted(lacking)) or "a model that decodes codes"
        return f"{metric.title} needs {what}, which a folder of images does not have."
    if not folders.paired and any(each.side == "pair" for each in quantities):
        return folders.unpaired_because
    try:
        metric.check()
        if any(each.network is None for each in quantities):
            probe = torch.zeros(1, 3, *folders.size, dtype=torch.uint8)
            metric().rows(Batch(probe if folders.paired else probe[:0], probe, None, None, [0]))
    except VtbenchError as error:
        return str(error)
    return None


def available_metrics(folders: FolderPair) -> tuple[list[str], dict[str, str]]:
    """Return the metrics that can be taken of these folders, and why each other one cannot."""
    left_out: dict[str, str] = {}
    for name in METRICS.names():
        try:
            why = problem(METRICS.load(name), folders)
        except VtbenchError as error:
            why = str(error)
        if why is not None:
            left_out[name] = why
    return [name for name in METRICS.names() if name not in left_out], left_out


def require_metrics(names: Sequence[str], folders: FolderPair) -> None:
    """Check metrics that were asked for.

    Raises:
        RegistryError: no metric has such a name; the message has the nearest.
        DataError: one cannot be taken of these folders; the message says why.
    """
    for name in names:
        if (why := problem(METRICS.load(name), folders)) is not None:
            raise DataError(f"{name}: {why}")


def measure_folders(
    folders: FolderPair,
    metrics: Sequence[str],
    keep: Path,
    cache_dir: Path,
    device: torch.device,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[FolderValue], dict[str, str]]:
    """Take metrics of a folder.

    Args:
        folders: what to measure.
        metrics: names in `METRICS`.
        keep: where rows are kept, so that a measurement goes on where it was stopped.
        cache_dir: where features of references are kept for all measurements.
        device: where metrics and networks run.
        on_progress: called with (images done, images in all passes).

    Returns:
        The values in the order of `metrics`, and why those that are missing could not be computed.

    Raises:
        DataError: an image cannot be read.
        ResolutionError: an image is too small for the protocol or a metric.
    """
    groups = _groups([METRICS.load(name)() for name in metrics], folders)
    results: dict[str, Result] = {}
    left_out: dict[str, str] = {}
    total = len(folders.images) * len(groups)
    for number, (source, group) in enumerate(groups):
        before = number * len(folders.images)
        tell = None if on_progress is None else _shifted(on_progress, before, total)
        taken = measure(group, source, keep, cache_dir, device=device, rank=0, world=1, on_progress=tell)
        for metric in group:
            try:
                results[metric.name] = metric.compute(taken.measured)
            except DataError as error:
                left_out[metric.name] = str(error)
    kinds = {name: METRICS.load(name) for name in results}
    values = [
        FolderValue(kinds[name], results[name], folders.protocol(kinds[name])) for name in metrics if name in results
    ]
    return values, left_out


class FolderSource(Source):
    """The images of two folders, as one group of metrics sees them.

    Args:
        folders: what is measured.
        path: the protocol's crop, resize and conversion to 8 bits.
        network_side: side in pixels to which images are brought for a feature network, if the protocol does so.
    """

    batch_size = FEATURE_BATCH

    def __init__(self, folders: FolderPair, path: ImagePath, network_side: int | None = None) -> None:
        self._folders, self._path, self._side = folders, path, network_side
        self.size = folders.size if network_side is None else (network_side, network_side)
        self.num_reference, self.num_produced = len(folders.reference), len(folders.images)
        self.paired = folders.paired
        self.about: dict[str, Any] = {
            "images": folders.images.order_key(),
            "reference": folders.reference.order_key(folders.partners),
            "path": vars(path),
            "resolution": list(folders.size),
            "network_side": network_side,
        }

    def reference(self, positions: range) -> UInt8[Tensor, "batch 3 height width"]:
        """Return references, in the order of the images if paired."""
        return self._images(self._folders.reference, [self._folders.partners[position] for position in positions])

    def produced(
        self, positions: range, reference: UInt8[Tensor, "pairs 3 height width"], perturb: float, with_codes: bool
    ) -> tuple[UInt8[Tensor, "batch 3 height width"], Int[Tensor, "batch codebooks tokens"] | None]:
        """Return images; there are no codes."""
        return self._images(self._folders.images, positions), None

    def _images(self, folder: FlatFolder, indices: Sequence[int]) -> UInt8[Tensor, "batch 3 height width"]:
        arrays = [self._path.resize(folder.read(index), self._folders.size) for index in indices]
        images = self._path.again(torch.from_numpy(np.stack(arrays)))
        return images if self._side is None else plain_bilinear(images.float(), (self._side, self._side))


def _groups(metrics: Sequence[Metric], folders: FolderPair) -> list[tuple[FolderSource, list[Metric]]]:
    """Return metrics that see the same images, together."""
    groups: dict[str, tuple[FolderSource, list[Metric]]] = {}
    for metric in metrics:
        network = _network(metric)
        path = ImagePath.of(folders.preset, over_features=network is not None)
        resized = network is not None and folders.preset.fields["preprocessing"] == PLAIN_BILINEAR
        source = FolderSource(folders, path, FEATURES.load(network).input_size if network and resized else None)
        key = content_hash([source.about["path"], source.about["network_side"]])
        groups.setdefault(key, (source, []))[1].append(metric)
    return list(groups.values())


def _network(metric: Metric) -> str | None:
    return next((each.network for each in metric.quantities() if each.network is not None), None)


def _shifted(tell: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: tell(before + done, total)
