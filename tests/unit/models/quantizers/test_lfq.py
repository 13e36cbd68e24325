import pytest
import torch
from vector_quantize_pytorch import LFQ

from vtbench.models.quantizers.lfq import LfqConfig, LookupFreeQuantizer


def _latents(channels):
    return torch.randn(2, 6, channels, generator=torch.Generator().manual_seed(0))


def test_values_and_loss_are_the_librarys_and_codes_have_the_bits_in_the_other_order():
    latents = _latents(8)
    ours = LookupFreeQuantizer(LfqConfig(num_bits=4, num_codebooks=2), 8).train()
    theirs = LFQ(dim=8, codebook_size=16, num_codebooks=2, entropy_loss_weight=0.1, commitment_loss_weight=0.25).train()
    out = ours(latents)
    values, codes, loss = theirs(latents)
    torch.testing.assert_close(out.z_q, values)
    torch.testing.assert_close(out.loss, loss, rtol=1e-3, atol=1e-4)
    reversed_bits = sum(((codes >> bit) & 1) << (3 - bit) for bit in range(4))
    assert torch.equal(out.indices, reversed_bits.transpose(1, 2).long())


def test_the_first_channel_is_the_lowest_bit():
    quantizer = LookupFreeQuantizer(LfqConfig(num_bits=3), 3).eval()
    out = quantizer(torch.tensor([[[1.0, -1.0, -1.0], [-1.0, -1.0, 1.0]]]))
    assert out.indices.tolist() == [[[1, 4]]]


def test_one_channel_a_bit():
    with pytest.raises(ValueError, match="it must be 12"):
        LfqConfig(num_bits=6, num_codebooks=2).check(10)
