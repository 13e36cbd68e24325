"""Every feature network as an extractor of torch-fidelity, so that its own metrics can be taken over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float32, UInt8
from torch import Tensor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.registry import FEATURE_EXTRACTORS_REGISTRY, register_feature_extractor

from vtbench.features import FEATURES
from vtbench.features.network import LOGITS, POOLED, SPATIAL, FeatureNetwork

_PREFIX = "vtbench-"
_LAYER_OF_METRIC = {"isc": LOGITS}


class FidelityExtractor(FeatureExtractorBase):
    """One feature network with its layers, under the name `vtbench-<network>`."""

    def __init__(self, name: str, features_list: Sequence[str] = (POOLED,), **options: Any) -> None:
        super().__init__(name, list(features_list))
        self.network: FeatureNetwork = FEATURES.load(name.removeprefix(_PREFIX))()

    def forward(self, images: UInt8[Tensor, "batch 3 height width"]) -> tuple[Float32[Tensor, "batch _dim"], ...]:
        """Return the layers of images in [0, 255] that torch-fidelity asked for."""
        found = self.network.to(images.device).extract(images, self.features_list)
        return tuple(found[layer] for layer in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        """Return the layers that networks share by name."""
        return (POOLED, LOGITS, SPATIAL)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        """Return the classes for the Inception Score and the pooled features for all others."""
        return _LAYER_OF_METRIC.get(metric, POOLED)

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
