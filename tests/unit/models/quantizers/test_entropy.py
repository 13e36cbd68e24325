import math

import pytest
import torch

from vtbench.models.quantizers.entropy import entropy_loss


def test_sure_tokens_that_use_all_codes_evenly_have_the_least_loss():
    sure = 100 * torch.eye(4)[None]
    assert entropy_loss(sure, 1.0).item() == pytest.approx(-math.log(4), abs=1e-5)
    assert entropy_loss(torch.zeros(1, 4, 4), 1.0).item() == pytest.approx(0, abs=1e-6)
    alike = 100 * torch.eye(4)[None, :1].expand(1, 4, 4)
    assert entropy_loss(alike, 1.0).item() == pytest.approx(0, abs=1e-5)


def test_temperature_divides_scores_and_codebooks_are_averaged():
    scores = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    p = (scores.double() / 0.5).softmax(-1)
    mean = p.mean(1)
    by_hand = -(p * p.log()).sum(-1).mean() + (mean * mean.log()).sum(-1).mean()
    assert entropy_loss(scores, 0.5).item() == pytest.approx(by_hand.item(), rel=1e-4)
