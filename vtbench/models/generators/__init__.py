"""Autoregressive generators of image tokens; one row each."""

from vtbench.registry import Registry

GENERATORS = Registry(
    "generator",
    {
        "flextok_ar": "vtbench.models.generators.flextok_ar:FlexTokAR",
        "llamagen": "vtbench.models.generators.llamagen:LlamaGen",
        "vibetoken_gen": "vtbench.models.generators.vibetoken_gen:VibeTokenGen",
    },
)
