"""The entropy loss of LFQ and IBQ: each token sure of its code, all tokens together of all codes.

`E[H(p)] - H(E[p])` with p the softmax of a token's scores over a codebook (Yu et al. 2024, arXiv:2310.05737, equation
6). The mean is over the part of a step's batch that a forward pass sees: unlike the other losses this one is not
the same for every cut of the batch into parts.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def entropy_loss(scores: Float[Tensor, "num_codebooks vectors codebook_size"], temperature: float) -> Float[Tensor, ""]:
    """Return the mean entropy of a token less the entropy of the mean token, in nats, averaged over codebooks."""
    log_p = torch.log_softmax(scores / temperature, dim=-1)
    p = log_p.exp()
    of_token = -(p * log_p).sum(-1).mean()
    mean = p.mean(dim=1)
    of_mean = -(mean * mean.clamp(min=1e-10).log()).sum(-1).mean()
    return of_token - of_mean
