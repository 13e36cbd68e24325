"""Image tokenizers; one row each."""

from vtbench.registry import Registry

TOKENIZERS = Registry(
    "tokenizer",
    {
        "llamagen_vq": "vtbench.models.tokenizers.llamagen_vq:LlamaGenVq",
        "vibetoken": "vtbench.models.tokenizers.vibetoken:VibeToken",
    },
)
