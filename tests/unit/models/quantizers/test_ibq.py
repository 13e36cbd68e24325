import pytest
import torch

from vtbench.models.quantizers.ibq import IbqConfig, IndexBackpropagationQuantizer


def _quantizer(**options):
    torch.manual_seed(0)
    quantizer = IndexBackpropagationQuantizer(IbqConfig(codebook_size=5, **options), 6)
    torch.nn.init.normal_(quantizer.codebooks)
    return quantizer


def _latents():
    return torch.randn(2, 3, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()


def test_the_code_is_the_highest_product():
    quantizer, latents = _quantizer(num_codebooks=2), _latents()
    chunks = latents.detach().unflatten(-1, (2, 3))
    scores = torch.einsum("btkd,knd->bktn", chunks, quantizer.codebooks)
    assert torch.equal(quantizer(latents).indices, scores.argmax(-1))


def test_gradients_of_the_reconstruction_reach_every_entry():
    quantizer, latents = _quantizer(), _latents()
    weight = torch.randn(2, 3, 6)
    (quantizer(latents).z_q * weight).sum().backward()
    assert (quantizer.codebooks.grad.abs().sum(-1) > 0).all()
    z, book = latents.detach().flatten(0, 1), quantizer.codebooks.detach()[0].requires_grad_()
    scores = z @ book.T
    one_hot = torch.nn.functional.one_hot(scores.argmax(-1), 5)
    p = scores.softmax(-1)
    (by_hand,) = torch.autograd.grad((((one_hot + p - p.detach()) @ book) * weight.flatten(0, 1)).sum(), book)
    torch.testing.assert_close(quantizer.codebooks.grad[0], by_hand)


def test_the_loss_is_the_formula():
    quantizer, latents = _quantizer(entropy_weight=0.0, commitment=0.5), _latents()
    out = quantizer(latents)
    squared = (out.z_q.detach() - latents.detach()).pow(2).mean()
    assert out.loss.item() == pytest.approx(2.5 * squared.item(), rel=1e-5)
    with_entropy = _quantizer(commitment=0.5)
    assert with_entropy.train()(latents).loss < out.loss
    assert with_entropy.eval()(latents).loss.item() == pytest.approx(out.loss.item(), rel=1e-6)


def test_codebooks_share_the_channels_equally():
    with pytest.raises(ValueError, match="no multiple of num_codebooks 4"):
        IbqConfig(codebook_size=5, num_codebooks=4).check(6)
