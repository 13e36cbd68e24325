"""What metrics share that are computed from the features of one frozen network."""

from __future__ import annotations

from typing import ClassVar

from vtbench.evaluate.metric import Metric, Quantity, Value, features
from vtbench.features import FEATURES


class FeatureMetric(Metric):
    """A metric over one layer of the feature network named `network`; subclasses name both.

    Attributes:
        network: a row of `FEATURES`.
        layer: one of the network's layers.
        perturb: share of codes that is replaced at random before the produced images are decoded.
    """

    network: ClassVar[str]
    layer: ClassVar[str] = "pooled"
    perturb: ClassVar[float] = 0.0

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if the network's weights file is missing."""
        FEATURES.load(cls.network).weights_path()

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return which layer of which network with which weights, and how images reach it."""
        fields: dict[str, Value] = {**FEATURES.load(cls.network).protocol(), "layer": cls.layer}
        return fields | ({"perturb": cls.perturb} if cls.perturb else {})

    @classmethod
    def reference(cls) -> Quantity:
        """Return the reference images' features."""
        return features(cls.network, cls.layer, "reference")

    @classmethod
    def produced(cls) -> Quantity:
        """Return the produced images' features."""
        return features(cls.network, cls.layer, "produced", cls.perturb)

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the features of both sides."""
        return (self.reference(), self.produced())
