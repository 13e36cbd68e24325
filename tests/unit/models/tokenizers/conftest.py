"""A tokenizer small enough to run in milliseconds."""

import pytest
import torch

from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig

DEFAULTS = {
    "encoder": TransformerConfig(width=16, num_layers=2, num_heads=2),
    "decoder": TransformerConfig(width=24, num_layers=1, num_heads=2),
    "num_latent_tokens": 6,
    "latent_width": 16,
    "num_codebooks": 4,
    "codebook_size": 8,
    "weight_init": "fan_in",
    "pos_grid_size": 8,
    "patch_size": 8,
    "kernel_size": 16,
    "patch_sizes": (4, 8, 16),
    "min_patches": 4,
    "max_patches": 16,
}


@pytest.fixture
def build():
    """Build a tiny VibeToken; options replace those of `DEFAULTS`."""

    def build(seed=0, **options) -> VibeToken:
        torch.manual_seed(seed)
        return VibeToken(VibeTokenConfig(**{**DEFAULTS, **options})).eval()

    return build
