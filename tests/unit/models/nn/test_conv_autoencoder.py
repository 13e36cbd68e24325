import pytest
import torch

from vtbench.models.nn.conv_autoencoder import ConvConfig, ConvDecoder, ConvEncoder, Double, Halve, PlaceAttention

CONFIG = ConvConfig(width=8, width_factors=(1, 2, 2), num_res_blocks=1, latent_width=6, num_groups=4)


@pytest.mark.parametrize("size", [(16, 16), (8, 20)])
def test_every_level_but_the_first_halves_and_doubles(size):
    torch.manual_seed(0)
    latents = ConvEncoder(CONFIG)(torch.rand(2, 3, *size))
    assert latents.shape == (2, 6, size[0] // 4, size[1] // 4)
    assert ConvDecoder(CONFIG)(latents).shape == (2, 3, *size)
    assert CONFIG.pixels == 4


def test_attention_is_on_the_coarsest_level_and_in_the_middle_alone():
    for part, where in ((ConvEncoder(CONFIG), "levels.2"), (ConvDecoder(CONFIG), "levels.0")):
        found = {name for name, module in part.named_modules() if isinstance(module, PlaceAttention)}
        assert {name.rpartition(".attentions")[0] for name in found if "levels" in name} == {where}
        assert {name for name in found if "levels" not in name} == {"middle.1"}


def test_the_decoder_has_one_block_more_a_level():
    assert [len(level.blocks) for level in ConvEncoder(CONFIG).levels] == [1, 1, 1]
    assert [len(level.blocks) for level in ConvDecoder(CONFIG).levels] == [2, 2, 2]


def test_halving_pads_right_and_below():
    halve = Halve(1)
    torch.nn.init.zeros_(halve.conv.bias)
    torch.nn.init.zeros_(halve.conv.weight)
    halve.conv.weight.data[0, 0, 0, 0] = 1  # the upper left of what the kernel sees
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert torch.equal(halve(x)[0, 0], x[0, 0, ::2, ::2])


def test_doubling_repeats_neighbours():
    double = Double(1)
    torch.nn.init.zeros_(double.conv.bias)
    torch.nn.init.zeros_(double.conv.weight)
    double.conv.weight.data[0, 0, 1, 1] = 1
    assert double(torch.tensor([[[[1.0, 2.0]]]])).tolist() == [[[[1, 1, 2, 2], [1, 1, 2, 2]]]]


def test_attention_sees_every_place():
    torch.manual_seed(0)
    attention = PlaceAttention(8, 4)
    x = torch.rand(1, 8, 3, 3, requires_grad=True)
    attention(x)[0, :, 0, 0].sum().backward()
    assert (x.grad.abs().sum(1) > 0).all()


def test_a_width_that_groups_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="width 10 is no multiple of num_groups 4"):
        ConvConfig(width=10, width_factors=(1,), num_res_blocks=1, latent_width=4, num_groups=4)
    with pytest.raises(ValueError, match="at least one level"):
        ConvConfig(width=8, width_factors=(), num_res_blocks=1, latent_width=4, num_groups=4)
