"""One pass over images for all metrics: what they need is taken once, kept on disk, and taken up again after a kill.

Images are handled in chunks. A chunk's boundaries, its passes through the model and those through feature networks
depend on the images' size, `batch_size` and `FEATURE_BATCH` alone, so neither an interruption nor the number of
processes shows in a bit of the result. Each process begins with its own chunks (every `world`-th) and then does what
the others have left; a chunk is locked while it is made.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vtbench import distributed
from vtbench.data.dataset import Size
from vtbench.errors import DataError
from vtbench.evaluate.array_cache import making
from vtbench.evaluate.collector import Collector
from vtbench.evaluate.kept_rows import KeptRows, Rows
from vtbench.evaluate.metric import LABELS, Batch, Measured, Metric, Quantity
from vtbench.evaluate.reference_features import ReferenceFeatures, digest, feature_key
from vtbench.features.network import FEATURE_BATCH, Images
from vtbench.schema.base import content_hash

CHUNK_IMAGES = 256
"""Most images of a chunk: what a kill can cost."""
CHUNK_BYTES = 2**26
"""Most bytes of a chunk's reference images, for large images."""

_log = logging.getLogger(__name__)


class Source(ABC):
    """Where a pass gets its images. They are RGB in [0, 255], all of one size; positions count from 0.

    Attributes:
        about: all that decides the produced images, for example protocol and weights: other values, other rows.
        size: height and width in pixels.
        num_reference: number of reference images; 0 if there are none.
        num_produced: number of produced images.
        paired: whether the i-th produced image answers the i-th reference image.
        batch_size: images that `produced` is asked for at once.
    """

    about: dict[str, Any]
    size: Size
    num_reference: int
    num_produced: int
    paired: bool
    batch_size: int

    @abstractmethod
    def reference(self, positions: range) -> Images:
        """Return reference images, on the CPU."""

    @abstractmethod
    def produced(
        self, positions: range, reference: Images, perturb: float, with_codes: bool
    ) -> tuple[Images, Int[Tensor, "batch codebooks tokens"] | None]:
        """Return produced images and the codes they were decoded from, on any device.

        Args:
            positions: at most `batch_size`, starting at a multiple of it.
            reference: the reference images at these positions; none if not `paired`.
            perturb: share of codes to replace at random before decoding, the same ones each time.
            with_codes: whether the codes are wanted; None may be returned otherwise.
        """

    def latents(self, codes: Int[Tensor, "batch codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the quantised latents that codes stand for; asked for only where there are codes."""
        raise DataError("These images have codes without latents.")

    def labels(self, positions: range) -> Int[Tensor, " batch"] | None:
        """Return the classes of produced images, or None if unknown."""
        return None

    def reference_labels(self) -> Int[np.ndarray, " num_reference"] | None:
        """Return the classes of all reference images, or None if unknown."""
        return None

    def codebook_sizes(self) -> tuple[int, ...] | None:
        """Return the number of entries of each codebook, or None where produced images have no codes."""
        return None


@dataclass(frozen=True)
class Taken:
    """What a pass leaves behind: the rows, the folder they lie in, and each quantity's arrays, in order."""

    measured: Measured
    folder: Path
    files: dict[str, list[Path]]


def measure(
    metrics: Sequence[Metric],
    source: Source,
    folder: Path,
    cache_dir: Path,
    *,
    device: torch.device | None = None,
    rank: int | None = None,
    world: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Taken:
    """Take what metrics need of a source's images; what lies in `folder` already is not taken again.

    Args:
        metrics: what will be computed from the rows.
        source: the images. `produced` is called only for chunks that lack rows.
        folder: where rows are kept; processes that measure together share it.
        cache_dir: where features of reference images are kept for all runs.
        device: where metrics and feature networks run; the CPU if not given.
        rank: which of the processes this is; from the environment if not given.
        world: how many there are.
        on_progress: called with the number of produced images done by this process.

    Raises:
        DataError: a metric needs pairs, codes or labels, and there are none.
    """
    while True:
        one = _Pass(metrics, source, folder, cache_dir, device or torch.device("cpu"), on_progress)
        try:
            one.run(distributed.rank() if rank is None else rank, distributed.world_size() if world is None else world)
        except _OtherImagesError:
            _log.warning("The images are not those measured in %s before; measuring all again.", one.kept.folder)
            one.kept.forget()
            continue
        return one.taken()


def chunk_length(size: Size, batch_size: int) -> int:
    """Return how many images of `size` a chunk has: whole batches of the model and of feature networks."""
    unit = math.lcm(batch_size, FEATURE_BATCH)
    fitting = min(CHUNK_IMAGES, CHUNK_BYTES // (3 * size[0] * size[1]))
    return unit * max(1, fitting // unit)


class _OtherImagesError(Exception):
    """The reference images are not those that the kept rows belong to."""


class _Pass:
    """The state of `measure`."""

    def __init__(
        self,
        metrics: Sequence[Metric],
        source: Source,
        folder: Path,
        cache_dir: Path,
        device: torch.device,
        on_progress: Callable[[int], None] | None,
    ) -> None:
        self._source, self._device, self._on_progress = source, device, on_progress
        wanted = {quantity.key: quantity for metric in metrics for quantity in metric.quantities()}
        self._owners = {each.key: metric for metric in reversed(metrics) for each in metric.quantities()}
        _check(source, wanted.values(), self._owners)
        self._reference_side = [each for each in wanted.values() if each.side == "reference"]
        self._produced_side = {self._name(each): each for each in wanted.values() if each.side != "reference"}
        needs_codes = any(each.side in ("codes", "latents") or each.perturb for each in wanted.values())
        self._codebook_sizes = source.codebook_sizes() if needs_codes else None
        self._length = chunk_length(source.size, source.batch_size)
        self._num_chunks = -(-max(source.num_reference, source.num_produced) // self._length)
        self._features = ReferenceFeatures(self._reference_side, cache_dir, device)
        self.kept = KeptRows(folder, source.about, self._num_chunks)
        self._done = self._told = 0  # produced images

    def _name(self, quantity: Quantity) -> str:
        """Return the file name of a quantity's rows, in which all that decides them beside the images shows."""
        facts: dict[str, Any] = {"version": quantity.version, "dtype": quantity.dtype}
        if quantity.network is not None:
            facts["network"] = feature_key(quantity.network, self._device)
        return f"{quantity.key.replace('/', '.')}-{content_hash(facts, length=8)}"

    def run(self, rank: int, world: int) -> None:
        """Take all rows that are missing, this process's own chunks first."""
        own = range(rank, self._num_chunks, world)
        for number in own:
            self._chunk(number, must_look=True)
        for number in sorted(set(range(self._num_chunks)) - set(own)):
            self._chunk(number, must_look=False)
        self.kept.finish(list(self._produced_side), self._source.num_produced)

    def taken(self) -> Taken:
        """Return the rows of all chunks."""
        digests = self.kept.digests() or []
        of_reference = digests[: -(-self._source.num_reference // self._length)]
        files = {quantity.key: [self.kept.path(name)] for name, quantity in self._produced_side.items()}
        files |= {each.key: [self._features.path(each, one) for one in of_reference] for each in self._reference_side}
        statistics = {each.key: self._features.statistics_path(each, of_reference) for each in self._reference_side}
        measured = Measured(
            Rows(files),
            self._source.num_produced,
            statistics,
            codebook_sizes=self._codebook_sizes,
            size=self._source.size,
            paired=self._source.paired,
            reference_labels=self._source.reference_labels(),
        )
        return Taken(measured, self.kept.folder, files)

    def _chunk(self, number: int, must_look: bool) -> None:
        """Take one chunk; unless it `must_look`, one that others have done is believed to be of the same images."""
        known = self.kept.digest(number)
        if must_look or known is None or self._missing(number) or self._features.missing(known):
            references = self._part(number, self._source.num_reference)
            images = self._source.reference(references) if references else self._none()
            found = digest(images)
            if known not in (None, found):
                raise _OtherImagesError
            if references:
                self._features.take(images, found)
            if known is None or self._missing(number):
                self._make(number, images, found)
        self._done += len(self._part(number, self._source.num_produced))
        self._tell(0)

    def _missing(self, number: int) -> list[str]:
        """Return the names of the rows that a chunk lacks (in this order: complete rows drop their chunks)."""
        if not self._part(number, self._source.num_produced):
            return []
        lacking = set(self._produced_side) - self.kept.in_chunk(number)
        return sorted(lacking - self.kept.complete(lacking))

    def _make(self, number: int, reference: Images, of: str) -> None:
        """Take and write the rows that a chunk lacks; `of` is the digest of its reference images."""
        with making(self.kept.chunk_path(number, self._missing(number))):
            missing = self._missing(number)
            if not missing and self.kept.digest(number) is not None:
                return  # another process has made them meanwhile
            quantities = [self._produced_side[name] for name in missing]
            positions = self._part(number, self._source.num_produced)
            found: dict[str, np.ndarray] = {}
            for perturb in sorted({each.perturb for each in quantities}):
                of_variant = [each for each in quantities if each.perturb == perturb]
                found |= self._collect(positions, reference, perturb, of_variant)
            rows = {name: found[self._produced_side[name].key] for name in missing}
            self.kept.write_chunk(self.kept.chunk_path(number, missing), rows, of)

    def _collect(
        self,
        positions: range,
        reference: Images,
        perturb: float,
        quantities: Sequence[Quantity],
    ) -> dict[str, np.ndarray]:
        """Return the rows of one variant of a chunk's produced images."""
        collector = Collector(quantities, self._owners, self._device)
        for start in range(0, len(positions), self._source.batch_size):
            part = positions[start : start + self._source.batch_size]
            of_part = reference[start : start + len(part)] if self._source.paired else reference[:0]
            images, codes = self._source.produced(part, of_part, perturb, collector.wants_codes)
            latents = self._source.latents(codes) if codes is not None and collector.wants_latents else None
            collector.add(Batch(of_part, images, codes, self._source.labels(part), list(part), latents))
            if not perturb:
                self._tell(start + len(part))
        return collector.finish()

    def _part(self, number: int, total: int) -> range:
        """Return a chunk's positions among `total` images."""
        return range(total)[number * self._length : (number + 1) * self._length]

    def _none(self) -> Images:
        return torch.empty(0, 3, *self._source.size, dtype=torch.uint8)

    def _tell(self, in_chunk: int) -> None:
        if self._on_progress is not None and self._done + in_chunk > self._told:
            self._told = self._done + in_chunk
            self._on_progress(self._told)


def _check(source: Source, quantities: Iterable[Quantity], owners: Mapping[str, Metric]) -> None:
    """Raise a `DataError` for a metric that this source cannot feed."""
    for quantity in quantities:
        title = owners[quantity.key].title
        if quantity.side == "pair" and not source.paired:
            raise DataError(f"{title} compares image with image; these sets are not paired.")
        if quantity.side == "reference" and not source.num_reference:
            raise DataError(f"{title} needs reference images, and there are none.")
        if (quantity.side in ("codes", "latents") or quantity.perturb) and source.codebook_sizes() is None:
            raise DataError(f"{title} needs codes and their codebooks' sizes; these images have none.")
        if quantity == LABELS and source.labels(range(1)) is None:
            raise DataError(f"{title} needs labels, and these images have none.")
