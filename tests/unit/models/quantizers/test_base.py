import pytest
import torch

from vtbench.models.quantizers.base import usage
from vtbench.models.quantizers.fsq import FiniteScalarQuantizer, FsqConfig
from vtbench.models.quantizers.ibq import IbqConfig, IndexBackpropagationQuantizer
from vtbench.models.quantizers.lfq import LfqConfig, LookupFreeQuantizer

KINDS = {
    "fsq": lambda warmup: FiniteScalarQuantizer(FsqConfig(levels=(5, 8, 4), num_codebooks=2), 6, warmup),
    "lfq": lambda warmup: LookupFreeQuantizer(LfqConfig(num_bits=3, num_codebooks=2), 6, warmup),
    "ibq": lambda warmup: IndexBackpropagationQuantizer(IbqConfig(codebook_size=8, num_codebooks=2), 6, warmup),
}


def _latents():
    return torch.randn(3, 5, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("kind", KINDS)
def test_codes_stand_for_the_quantised_latents_and_gradients_pass_outside_training_too(kind):
    torch.manual_seed(0)
    quantizer, latents = KINDS[kind](0), _latents()
    for mode in (True, False):
        out = quantizer.train(mode)(latents)
        assert out.indices.shape == (3, 2, 5)
        assert 0 <= out.indices.min() <= out.indices.max() < quantizer.codebook_sizes[0]
        torch.testing.assert_close(quantizer.lookup(out.indices), out.z_q.detach(), atol=1e-6, rtol=1e-5)
        (gradient,) = torch.autograd.grad((out.z_q + 2).pow(2).sum() + out.loss, latents)
        assert gradient.isfinite().all()
        assert (gradient != 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_steps_of_training_pass_latents_unquantised(kind):
    torch.manual_seed(0)
    quantizer, latents = KINDS[kind](2).train(), _latents()
    for step in range(3):
        out = quantizer(latents)
        same = torch.allclose(quantizer.lookup(out.indices), out.z_q.detach(), atol=1e-6)
        assert same == (step == 2)
        assert (out.loss == 0) == (step < 2 or kind == "fsq")
        quantizer.end_step()
    fresh = KINDS[kind](2).eval()
    out = fresh(latents)
    torch.testing.assert_close(fresh.lookup(out.indices), out.z_q.detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_without_warmup_there_is_no_counter(kind):
    assert "steps_seen" not in KINDS[kind](0).state_dict()
    assert "steps_seen" in KINDS[kind](2).state_dict()


def test_usage_is_the_mean_share_of_codes():
    indices = torch.tensor([[[0, 0, 1], [3, 3, 3]]])
    assert usage(indices, 4) == pytest.approx((2 / 4 + 1 / 4) / 2)
