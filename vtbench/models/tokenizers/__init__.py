"""Image tokenizers; one row each."""

from vtbench.registry import Registry

TOKENIZERS = Registry("tokenizer", {"vibetoken": "vtbench.models.tokenizers.vibetoken:VibeToken"})
