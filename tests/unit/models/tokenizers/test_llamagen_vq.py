import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional as F

from vtbench.errors import ResolutionError
from vtbench.models.tokenizers.base import Geometry
from vtbench.models.tokenizers.llamagen_vq import LlamaGenVq, LlamaGenVqConfig


def build(seed=0, **options):
    torch.manual_seed(seed)
    small = {
        "width": 8,
        "width_factors": (1, 2, 2),
        "num_res_blocks": 1,
        "latent_width": 6,
        "num_groups": 4,
        "codebook_size": 16,
        "codebook_dim": 4,
    }
    return LlamaGenVq(LlamaGenVqConfig(**{**small, **options})).eval()


@pytest.mark.parametrize(
    ("factors", "pixels", "num_parameters"), [((1, 1, 2, 2, 4), 16, 71_883_403), ((1, 2, 2, 4), 8, 70_109_835)]
)
def test_the_published_sizes(factors, pixels, num_parameters):
    with torch.device("meta"):
        model = LlamaGenVq(LlamaGenVqConfig(width_factors=factors))
    assert model.pixels == pixels
    assert sum(p.numel() for p in model.parameters()) == num_parameters


@pytest.mark.parametrize("size", [(8, 8), (12, 20), (32, 4)])
def test_any_size_that_the_square_divides_goes_through_codes_and_back(size):
    model = build()
    images = torch.rand(2, 3, *size)
    codes = model.tokenize(images)
    assert codes.shape == (2, 1, model.num_tokens_at(size))
    assert model.num_tokens_at(size) == size[0] * size[1] // 16
    # rounding: the straight-through path adds and takes away the latents
    torch.testing.assert_close(model.detokenize(codes, size), model(images).reconstruction, atol=1e-5, rtol=0)


def test_tokens_run_row_by_row():
    model = build()
    dark = torch.zeros(1, 3, 8, 16)
    dark[:, :, :4] = 1.0
    changed = model.encode(dark)[0]
    by_place = model.to_codes(model.encoder(2 * dark - 1))[0]
    assert torch.equal(changed[5], by_place[:, 1, 1])


def test_codes_are_of_length_one():
    model = build()
    z_q = model.lookup(torch.arange(16).reshape(1, 1, 16))
    torch.testing.assert_close(z_q.norm(dim=-1), torch.ones(1, 16))


def test_an_image_does_not_depend_on_the_rest_of_its_batch():
    model = build()
    images = torch.rand(3, 3, 8, 8)
    torch.testing.assert_close(model(images).reconstruction[1:2], model(images[1:2]).reconstruction, atol=1e-5, rtol=0)


def test_every_parameter_learns():
    # all in use: entries that are not nearest to anything would get no gradient
    model = build(codebook_size=2).train()
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        z = F.normalize(model.encode(images).flatten(0, 1), dim=-1)
        model.quantizer.codebooks.copy_(torch.stack([z[0], -z[0]])[None])
    output = model(images)
    ((output.reconstruction - images).pow(2).mean() + output.quantizer.loss).backward()
    idle = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # a bias that is the same for all places cancels in softmax only as the keys' third, never as a whole
    assert idle <= {"quantizer.codebooks"}


@pytest.mark.slow
def test_some_steps_of_training_lower_the_loss():
    model = build(codebook_size=64, codebook_init="data", revive_after=5, quantizer_warmup=10).train()
    images = torch.rand(8, 3, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(50):
        output = model(images)
        loss = (output.reconstruction - images).pow(2).mean()
        optimizer.zero_grad()
        (loss + output.quantizer.loss).backward()
        optimizer.step()
        model.quantizer.end_step()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]


def test_first_steps_can_pass_latents_unquantised_and_normalised():
    model = build(quantizer_warmup=1).train()
    latents = model.encode(torch.rand(1, 3, 8, 8))
    assert torch.allclose(model.quantize(latents).z_q, F.normalize(latents, dim=-1))
    model.quantizer.end_step()
    assert not torch.allclose(model.quantize(latents).z_q, F.normalize(latents, dim=-1))


def test_a_size_that_the_square_does_not_divide_is_refused_with_the_nearest():
    with pytest.raises(
        ResolutionError, match="squares of 4 pixels do not tile 10x8; the nearest size that they do is 8x8"
    ):
        build().encode(torch.rand(1, 3, 10, 8))


def test_another_number_of_tokens_than_the_sizes_is_refused():
    model = build()
    model.check((8, 8), 4)
    with pytest.raises(ResolutionError, match=r"3 tokens asked for; .* 4 for an image of 8x8"):
        model.check((8, 8), 3)
    with pytest.raises(ResolutionError, match="3 tokens asked for"):
        model.encode(torch.rand(1, 3, 8, 8), Geometry(num_tokens=3))


def test_another_size_than_the_encoders_is_refused():
    model = build()
    with pytest.raises(ResolutionError, match="4 tokens cannot be decoded to 16x16, which has 16"):
        model(torch.rand(1, 3, 8, 8), (16, 16))


def test_another_patch_is_refused():
    with pytest.raises(ResolutionError, match="a patch of 8x8 asked for; this model's squares are fixed at 4"):
        build().encode(torch.rand(1, 3, 8, 8), Geometry(encoder_patch=(8, 8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"width": 10}, "width 10 is no multiple of num_groups 4"), ({"width_factors": ()}, "at least one level")],
)
def test_options_that_cannot_be_built_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        build(**options)
