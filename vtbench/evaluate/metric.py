"""What the harness asks of a metric, and what it gives to one.

A metric names the quantities that it is computed from: numbers of each image (one row an image) which one pass over the
images takes and keeps on disk. What several metrics name is taken once: a feature network runs once for all of them.
Then each metric turns rows into its value, and never sees a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, UInt8
from torch import Tensor

from vtbench.errors import DataError
from vtbench.evaluate.array_cache import load_array, making, save_array
from vtbench.evaluate.frechet_distance import Statistics, root, statistics
from vtbench.features import FEATURES

Side = Literal["reference", "produced", "pair", "codes", "latents", "labels"]
Value = str | int | float | bool
"""What a protocol's field can hold."""


@dataclass(frozen=True)
class Batch:
    """Some images of a pass, on the device where metrics run; all of one size.

    Attributes:
        reference: in [0, 255], 8-bit unless the protocol does not round; none (0, 3, height, width) where the two sets
            are not paired.
        produced: in [0, 255]. The i-th answers the i-th reference image, if there is one.
        codes: what the produced images were decoded from; None where no metric asks for codes.
        labels: class of each produced image; None if unknown.
        indices: positions of the produced images in the measured set.
        latents: the quantised latents that the codes stand for; None where no metric asks for them.
    """

    reference: UInt8[Tensor, "pairs 3 height width"] | Float32[Tensor, "pairs 3 height width"]
    produced: UInt8[Tensor, "batch 3 height width"] | Float32[Tensor, "batch 3 height width"]
    codes: Int[Tensor, "batch codebooks tokens"] | None
    labels: Int[Tensor, " batch"] | None
    indices: list[int]
    latents: Float[Tensor, "batch tokens channels"] | None = None


@dataclass(frozen=True)
class Quantity:
    """Something that is taken of every image: one row an image, kept on disk.

    Attributes:
        key: id; `/` separates its parts. Two metrics that name the same key mean the same rows.
        side: of which images: the reference's, the produced, a pair of both, or what belongs to a produced image: its
            codes, latents or label.
        row_shape: shape of one row; None where the model decides it (codes).
        dtype: NumPy's name of the type.
        version: raised whenever the same images would give other rows.
        network: feature network that gives the rows, in `FEATURES`; None for rows that a metric takes itself.
        layer: of that network.
        perturb: share of codes that is replaced at random before the produced images are decoded; 0 for the
            reconstructions themselves.
    """

    key: str
    side: Side
    row_shape: tuple[int, ...] | None
    dtype: str
    version: int = 1
    network: str | None = None
    layer: str | None = None
    perturb: float = 0.0


CODES = Quantity("codes", "codes", None, "int32")
"""The codes of each produced image, rows of shape (codebooks, tokens); taken by the pass."""

LATENTS = Quantity("latents", "latents", None, "float32")
"""The quantised latents of each produced image, rows of shape (tokens, channels); taken by the pass."""

LABELS = Quantity("labels", "labels", (), "int64")
"""The class of each produced image; taken by the pass."""


def features(
    network: str, layer: str = "pooled", side: Literal["reference", "produced"] = "produced", perturb: float = 0.0
) -> Quantity:
    """Return the features of images as a quantity; the pass takes it, one forward pass for all layers.

    Args:
        network: a row of `FEATURES`.
        layer: one of the network's `layers`.
        side: of which images.
        perturb: as in `Quantity`.

    Raises:
        DataError: the network has no such layer.
    """
    layers = FEATURES.load(network).layers
    if layer not in layers:
        raise DataError(f"The feature network '{network}' has no layer '{layer}'; it has {', '.join(sorted(layers))}.")
    which = f"{side}@perturb={perturb:g}" if perturb else side
    key = f"features/{network}/{layer}/{which}"
    return Quantity(key, side, layers[layer], "float32", network=network, layer=layer, perturb=perturb)


class Measured:
    """The rows that a pass has taken.

    Args:
        rows: key of a quantity -> its rows, in the order of the images.
        num_images: number of produced images; left out, as many as the first quantity has rows.
        kept_statistics: key -> file that keeps mean and covariance of those rows for all runs; its name must stand for
            the rows' content.
        codebook_sizes: number of entries of each codebook, where produced images have codes.
        size: height and width of the images in pixels.
        paired: whether the i-th produced image answers the i-th reference image.
        reference_labels: class of each reference image; None if unknown.

    Attributes:
        n: number of produced images.
    """

    def __init__(
        self,
        rows: Mapping[str, np.ndarray],
        num_images: int | None = None,
        kept_statistics: Mapping[str, Path] | None = None,
        *,
        codebook_sizes: tuple[int, ...] | None = None,
        size: tuple[int, int] | None = None,
        paired: bool = True,
        reference_labels: Int[np.ndarray, " num_reference"] | None = None,
    ) -> None:
        self._rows, self.paired = rows, paired
        self._kept = kept_statistics or {}
        self._statistics: dict[str, Statistics] = {}
        self._roots: dict[str, np.ndarray] = {}
        self.codebook_sizes, self.size, self.reference_labels = codebook_sizes, size, reference_labels
        self.n = num_images if num_images is not None else len(next(iter(rows.values()), ()))

    def __contains__(self, quantity: Quantity) -> bool:
        return quantity.key in self._rows

    def rows(self, quantity: Quantity) -> np.ndarray:
        """Return the rows of a quantity, shape (images, *row_shape), read-only and perhaps memory-mapped.

        Raises:
            KeyError: the pass was not asked for it.
        """
        return self._rows[quantity.key]

    def statistics(self, quantity: Quantity) -> Statistics:
        """Return number, mean and covariance of the rows, float64; computed once for all metrics.

        Raises:
            DataError: there are fewer than two rows.
        """
        key = quantity.key
        if key not in self._statistics:
            self._statistics[key] = self._load_or_compute(key)
        return self._statistics[key]

    def root(self, quantity: Quantity) -> Float64[np.ndarray, "dim rank"]:
        """Return R with R R^T = the rows' covariance; computed once for all metrics.

        Raises:
            DataError: there are fewer than two rows.
        """
        key = quantity.key
        if key not in self._roots:
            self._roots[key] = root(self.statistics(quantity).covariance)
        return self._roots[key]

    def _load_or_compute(self, key: str) -> Statistics:
        path = self._kept.get(key)
        if path is None:
            return statistics(self._rows[key])
        found = load_array(path)
        if found is None:
            with making(path):
                found = load_array(path)
                if found is None:
                    n, mean, covariance = statistics(self._rows[key])
                    found = np.vstack([np.full_like(mean, n), mean, covariance])
                    save_array(path, found)
        return Statistics(int(found[0, 0]), found[1], found[2:])


@dataclass(frozen=True)
class Result:
    """A metric's outcome.

    Attributes:
        value: the number.
        interval: ends of its 95 % confidence interval over images, where the metric has one.
        params: what else came out, for example the slope of a fit.
        without_blocks: the value without each of the images' `statistics.blocks`, from which follows the interval of a
            difference between two models; empty where the value is a mean over images, or has no such values.
    """

    value: float
    interval: tuple[float, float] | None = None
    params: dict[str, Any] = field(default_factory=dict)
    without_blocks: tuple[float, ...] = ()


class Metric(ABC):
    """Turns rows into one number.

    A metric sees images and rows alone, never a model. A new metric is one file in `evaluate/metrics/` and one row in
    its table.

    Attributes:
        name: id, for example `psnr`.
        title: how tables call it, for example `PSNR`.
        unit: `dB`, or empty.
        version: raised whenever the same images would give another value.
        higher_is_better: direction.
        min_samples: fewest images for which the value means something; below it a report warns.
        source: paper or library that defines it.
        value_range: smallest and largest possible value; infinite where there is no bound.
        equation: the definition, in one line.
        of_reconstructions: whether trained tokenizers are measured by it.
        of_generations: whether trained generators are.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = ""
    version: ClassVar[int] = 1
    higher_is_better: ClassVar[bool]
    min_samples: ClassVar[int] = 1
    source: ClassVar[str]
    value_range: ClassVar[tuple[float, float]]
    equation: ClassVar[str]
    of_reconstructions: ClassVar[bool] = True
    of_generations: ClassVar[bool] = False

    @classmethod  # noqa: B027  # most metrics need no file
    def check(cls) -> None:
        """Raise a `WeightsError` if a file that the metric needs is missing; called before anything runs."""

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return what else, beyond the images' and the model's fields, decides the value (network, weights, ...)."""
        return {}

    @abstractmethod
    def quantities(self) -> tuple[Quantity, ...]:
        """Return what the value is computed from."""

    def rows(self, batch: Batch) -> dict[str, Tensor]:
        """Return the rows of the metric's own quantities: key -> shape (batch, *row_shape).

        Own are those that the pass does not take: neither features, nor `CODES`, `LATENTS` or `LABELS`. Metrics without
        any keep this.

        Raises:
            ResolutionError: the images are too small.
        """
        return {}

    @abstractmethod
    def compute(self, measured: Measured) -> Result:
        """Return the value over all images.

        Raises:
            DataError: there are too few.
        """
