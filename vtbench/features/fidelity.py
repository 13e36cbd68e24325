"""Every feature network as an extractor of torch-fidelity, so that torch-fidelity computes the distances over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float32, UInt8
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from vtbench.features import FEATURES
from vtbench.features.network import FeatureNetwork

LAYER = "pooled"
_PREFIX = "vtbench-"


class FidelityExtractor(FeatureExtractorBase):
    """One feature network with its single layer, `pooled`, under the name `vtbench-<network>`."""

    def __init__(self, name: str, features_list: Sequence[str] = (LAYER,), **options: Any) -> None:
        super().__init__(name, list(features_list))
        self.network: FeatureNetwork = FEATURES.load(name.removeprefix(_PREFIX))()

    def forward(self, images: UInt8[Tensor, "batch 3 height width"]) -> tuple[Float32[Tensor, "batch dim"]]:
        """Return the features of images in [0, 255]."""
        return (self.network.to(images.device).features(images),)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Return the one layer there is."""
        return (LAYER,)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Return that layer for every metric."""
        return LAYER

    @staticmethod
    def can_be_compiled() -> bool:
        """Say no: torch-fidelity would trace the extractor."""
        return False


def register(network: str) -> str:
    """Make the feature network called `network` known to torch-fidelity and return its name there."""
    FEATURES.check(network)
    name = f"{_PREFIX}{network}"
    if name not in FEATURE_EXTRACTORS_REGISTRY:
        register_feature_extractor(name, FidelityExtractor)
    return name
