"""Frechet distance between the features of reference and reconstructed images, computed by torch-fidelity.

Heusel et al. 2017 (arXiv:1706.08500), equation 6: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). Over Inception-v3 it is
the reconstruction FID (`rfid`); over other features it is another number and has another name.

Deviation: torch-fidelity takes the means of float32 features in float32; here the statistics are float64 throughout.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.utils import create_feature_extractor

from vtbench.errors import DataError
from vtbench.evaluate.array_cache import load_array, save_array
from vtbench.evaluate.metric import Metric
from vtbench.features import FEATURES
from vtbench.features.fidelity import LAYER, register
from vtbench.features.network import FEATURE_BATCH, FeatureStream
from vtbench.schema.base import content_hash


def frechet_distance(first: Float[Tensor, "num_first dim"], second: Float[Tensor, "num_second dim"]) -> float:
    """Return the Frechet distance between two sets of at least two features, in squared units of the features."""
    statistics = [fid_features_to_statistics(features.double()) for features in (first, second)]
    return float(fid_statistics_to_metric(*statistics, verbose=False)[KEY_METRIC_FID])


class FrechetDistance(Metric):
    """A Frechet distance over the feature network named `network`; subclasses name it.

    The reference images' features are kept in the cache, so that the runs of a study extract them once.
    """

    network: ClassVar[str]
    higher_is_better = False
    min_samples = 2048  # with fewer, the covariance of 2048 features cannot have full rank

    def __init__(self) -> None:
        extractor = create_feature_extractor(register(self.network), [LAYER], cuda=False, verbose=False)
        self._reference = FeatureStream(lambda images: extractor(images)[0])
        self._produced = FeatureStream(lambda images: extractor(images)[0])
        self._cached: Float32[Tensor, "num_samples dim"] | None = None
        self._cache_path: Path | None = None

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if the network's weights file is missing."""
        FEATURES.load(cls.network).weights_path()

    @classmethod
    def protocol(cls) -> dict[str, str | int | float | bool]:
        """Return which network with which weights, and how images reach it."""
        network = FEATURES.load(cls.network)
        return {
            "features": network.name,
            "weights_sha256": network.weights_sha256(),
            "preprocessing": network.preprocessing,
            "feature_batch": FEATURE_BATCH,
        }

    def use_cache(self, reference_key: str, cache_dir: Path) -> None:
        """Take the reference features from `<cache_dir>/features/`, or keep them there after `compute`."""
        key = content_hash({"reference": reference_key, **self.protocol()}, length=32)
        self._cache_path = cache_dir / "features" / f"{key}.npy"
        features = load_array(self._cache_path)
        self._cached = None if features is None else torch.from_numpy(features)

    def update(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> None:
        """Add one batch of pairs; the network runs where `produced` lies."""
        self._produced.add(produced)
        if self._cached is None:
            self._reference.add(reference.to(produced.device))

    def compute(self) -> float:
        """Return the distance over all pairs so far.

        Raises:
            DataError: fewer than two pairs, which have no covariance.
        """
        produced = self._produced.finish()
        reference = self._reference_features()
        if min(len(reference), len(produced)) < 2:
            raise DataError(f"{self.title} needs at least 2 images; {len(produced)} were measured.")
        return frechet_distance(reference, produced)

    def _reference_features(self) -> Float32[Tensor, "num_samples dim"]:
        if self._cached is None:
            self._cached = self._reference.finish()
            if self._cache_path is not None:
                save_array(self._cache_path, self._cached.numpy())
        return self._cached


class RfdEffnet(FrechetDistance):
    """Frechet distance over EfficientNet-Lite0: needs no download, and is not an FID."""

    name = "rfd_effnet"
    title = "rFD (EfficientNet-Lite0)"
    network = "effnet_lite0"
    source = "Heusel et al. 2017, eq. 6, over 1280 features of EfficientNet-Lite0; torch-fidelity"


class Rfid(FrechetDistance):
    """Frechet Inception distance of reconstructions."""

    name = "rfid"
    title = "rFID"
    network = "inception"
    source = "Heusel et al. 2017, eq. 6, over 2048 features of Inception-v3; torch-fidelity"
