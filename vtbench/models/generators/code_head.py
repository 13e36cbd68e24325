"""The depth head of UniTok and VibeToken-Gen: the codes of one token, one after the other.

Ma et al. 2025 (UniTok, section on unified models); official VibeToken code, commit 28b695b. A short causal transformer
without positions runs over [trunk's output, code 0, ..., code K - 2]; its output at place i gives, through one linear
layer with bias that all places share, the logits of code i. What it adds up to is not small: it runs K places for every
token of the trunk.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from vtbench.models.nn.causal import CausalConfig, CausalTransformer
from vtbench.models.nn.kv_cache import KVCache


class CodeHead(nn.Module):
    """From [trunk's output, embedded codes] to logits; the embeddings of codes are the caller's.

    Args:
        config: the transformer's size.
        codebook_size: entries of each codebook.
    """

    def __init__(self, config: CausalConfig, codebook_size: int) -> None:
        super().__init__()
        self.transformer = CausalTransformer(config)
        self.linear = nn.Linear(config.width, codebook_size)

    def forward(
        self, x: Float[Tensor, "tokens codes width"], cache: KVCache | None = None, code: int = 0
    ) -> Float[Tensor, "tokens codes codebook_size"]:
        """Return logits of the codes from `code` on; with a cache, `x` is the one place that `code` is predicted at."""
        return self.linear(self.transformer(x, cache, code))

    def new_cache(self, batch: int, num_codes: int) -> KVCache:
        """Reserve memory for the `num_codes` places of one token in each of `batch` sequences."""
        return self.transformer.new_cache(batch, num_codes)
