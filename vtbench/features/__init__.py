"""Frozen networks that measure images; one row each."""

from vtbench.registry import Registry

FEATURES = Registry(
    "feature network",
    {
        "dinov2": "vtbench.features.dinov2:DinoV2",
        "effnet_lite0": "vtbench.features.effnet_lite0:EffnetLite0",
        "inception": "vtbench.features.inception:Inception",
    },
)
