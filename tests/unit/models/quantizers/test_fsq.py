import pytest
import torch
from vector_quantize_pytorch import FSQ

from vtbench.models.quantizers.fsq import FiniteScalarQuantizer, FsqConfig


@pytest.mark.parametrize(("levels", "num_codebooks"), [((8, 8, 8, 5, 5, 5), 1), ((7, 4), 3)])
def test_values_and_codes_are_the_librarys(levels, num_codebooks):
    channels = len(levels) * num_codebooks
    latents = 2 * torch.randn(3, 7, channels, generator=torch.Generator().manual_seed(0))
    ours = FiniteScalarQuantizer(FsqConfig(levels=levels, num_codebooks=num_codebooks), channels)
    out = ours(latents)
    values, codes = FSQ(list(levels), num_codebooks=num_codebooks, keep_num_codebooks_dim=True)(latents)
    torch.testing.assert_close(out.z_q, values)
    assert torch.equal(out.indices, codes.transpose(1, 2).long())
    assert ours.codebook_sizes == (torch.tensor(levels).prod().item(),) * num_codebooks


def test_the_gradient_is_that_of_the_bound():
    latents = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    FiniteScalarQuantizer(FsqConfig(levels=(5, 5)), 2)(latents).z_q.sum().backward()
    bounded = torch.tanh(latents.detach()) * 4 * 1.001 / 2 / 2
    torch.testing.assert_close(latents.grad, (2.002 / 2) * (1 - (bounded / 1.001) ** 2), atol=1e-5, rtol=1e-4)


def test_wrong_options():
    with pytest.raises(ValueError, match="it must be 4"):
        FsqConfig(levels=(5, 5), num_codebooks=2).check(5)
    with pytest.raises(ValueError, match="at least 3"):
        FsqConfig(levels=(2, 5)).check(2)
