"""Losses of tokenizers, and the perceptual distances among them; one row each."""

from vtbench.registry import Registry

PERCEPTUAL = Registry(
    "perceptual loss",
    {
        "effnet_lite0": "vtbench.models.losses.effnet:EffnetLoss",
        "lpips": "vtbench.models.losses.lpips:LpipsLoss",
        "convnext_s": "vtbench.models.losses.convnext:ConvnextLoss",
    },
)
