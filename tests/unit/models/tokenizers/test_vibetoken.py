import itertools

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from vtbench.errors import ResolutionError
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.base import Geometry
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig

POS_EMBEDS = ("grid", "learned", "rope", "rope_learnable", "none")
PATCH_EMBEDS = ("fixed", "bilinear", "pinv")
ARMS = list(itertools.product(POS_EMBEDS, PATCH_EMBEDS))


def _images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize(
    ("encoder", "decoder", "num_parameters"),
    [("small", "small", 56_347_557), ("small", "large", 335_801_253), ("large", "large", 615_385_509)],
)
def test_the_published_sizes(encoder, decoder, num_parameters):
    with torch.device("meta"):
        model = VibeToken(VibeTokenConfig(encoder=encoder, decoder=decoder))
    assert sum(p.numel() for p in model.parameters()) == num_parameters
    assert all(p.is_meta for p in model.parameters())


@pytest.mark.parametrize(("pos_embed", "patch_embed"), ARMS)
def test_every_parameter_learns_in_every_arm(build, pos_embed, patch_embed):
    model = build(pos_embed=pos_embed, patch_embed=patch_embed).train()
    out = model(_images(2, 3, 16, 24))
    ((out.reconstruction - 0.3).square().mean() + out.quantizer.loss).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


@pytest.fixture
def poisoned_memory():
    """Fill memory that nobody has written with NaN."""
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.utils.deterministic.fill_uninitialized_memory = before[1]


@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("weight_init", ["trunc_normal", "fan_in"])
@pytest.mark.parametrize(("pos_embed", "patch_embed"), ARMS)
def test_every_parameter_is_initialised(build, pos_embed, patch_embed, weight_init):
    model = build(pos_embed=pos_embed, patch_embed=patch_embed, weight_init=weight_init)
    for name, parameter in model.named_parameters():
        assert torch.isfinite(parameter).all(), name
        constant = "bias" in name or ".norm" in name or ".ln_" in name
        assert constant == (parameter == parameter.flatten()[0]).all().item(), name


def test_the_default_has_no_state_beside_its_parameters(build):
    for pos_embed, patch_embed in ARMS:
        model = build(pos_embed=pos_embed, patch_embed=patch_embed)
        assert set(model.state_dict()) == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("pos_embed", ["grid", "rope_learnable"])
def test_equal_seeds_give_equal_weights_and_others_do_not(build, pos_embed):
    first, again, other = (build(seed=seed, pos_embed=pos_embed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["encoder.latent_tokens"], other["encoder.latent_tokens"])


@pytest.mark.parametrize(
    ("options", "read", "value"),
    [
        ({"init_std": 0.001}, lambda m: m.encoder.positions.added.grid.std() < 0.01, True),
        ({"init_std": 0.001}, lambda m: m.decoder.mask_token.std() < 0.01, True),
        ({"pos_grid_sampling": "official"}, lambda m: m.encoder.positions.added.sampling, "official"),
        ({"pos_grid_sampling": "official"}, lambda m: m.decoder.positions.added.sampling, "official"),
        ({"pos_embed": "rope", "rope_base": 4.0}, lambda m: m.encoder.positions.turned.frequencies[1], 0.5),
        ({"patch_embed": "pinv"}, lambda m: m.encoder.patch_embed.resize, "pinv"),
        ({"codebook_init": "data"}, lambda m: "quantizer.initialised" in m.state_dict(), True),
        ({"revive_after": 3}, lambda m: m.quantizer.revive_after, 3),
        ({"blur_init": "lowpass"}, lambda m: m.decoder.blur.weight.min() > 0, True),
        ({"blur_kernel_size": 5}, lambda m: m.decoder.blur.weight.shape[-1], 5),
        ({"patch_embed": "fixed", "patch_size": 4}, lambda m: m.decoder.pixels, 4),
    ],
)
def test_options_reach_their_part(build, options, read, value):
    assert read(build(**options)) == value
    assert read(build(**{name: options[name] for name in options.keys() & {"pos_embed"}})) != value


@pytest.mark.parametrize(("pos_embed", "patch_embed"), ARMS)
def test_an_image_does_not_depend_on_the_rest_of_its_batch(build, pos_embed, patch_embed):
    model = build(pos_embed=pos_embed, patch_embed=patch_embed)
    images = _images(3, 3, 16, 16)
    together = model(images).reconstruction
    alone = torch.cat([model(images[i : i + 1]).reconstruction for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert not torch.allclose(together[0], together[1], atol=1e-3)


@pytest.mark.parametrize("num_tokens", range(1, 7))
def test_exactly_as_many_latents_as_asked_for(build, num_tokens):
    model, images = build(), _images(2, 3, 16, 16)
    geometry = Geometry(num_tokens=num_tokens)
    assert model.encode(images, geometry).shape == (2, num_tokens, 16)
    assert model.tokenize(images, geometry).shape == (2, 4, num_tokens)
    assert model(images, geometry=geometry).reconstruction.shape == images.shape


def test_without_a_number_all_latents_are_used(build):
    assert build().tokenize(_images(1, 3, 16, 16)).shape == (1, 4, 6)


@pytest.mark.parametrize(("asked", "made"), [(0, 1), (3, 4), (5, 6), (6, 6), (None, 6)])
def test_the_official_way_makes_one_latent_more(build, asked, made):
    model = build(official=True)
    assert model.tokenize(_images(1, 3, 16, 16), Geometry(num_tokens=asked)).shape == (1, 4, made)


@pytest.mark.parametrize("num_tokens", [0, 7, -1])
def test_a_length_that_the_model_does_not_have_is_refused(build, num_tokens):
    model = build()
    for call in (
        lambda: model.check((16, 16), num_tokens),
        lambda: model.encode(_images(1, 3, 16, 16), Geometry(num_tokens=num_tokens)),
    ):
        with pytest.raises(ResolutionError, match=f"{num_tokens} latent tokens asked for; this model has 1 to 6"):
            call()


@pytest.mark.parametrize(
    ("options", "size", "nearest"),
    [
        ({"patch_embed": "fixed"}, (21, 16), "24x16"),
        ({}, (18, 31), "16x32"),
        ({"patch_sizes": (8,)}, (12, 60), "16x64"),
    ],
)
def test_a_size_that_no_patch_tiles_is_refused_with_the_nearest(build, options, size, nearest):
    model = build(**options)
    for call in (
        lambda: model.check(size),
        lambda: model.encode(_images(1, 3, *size)),
        lambda: model.decode(torch.zeros(1, 6, 16), size),
    ):
        with pytest.raises(ResolutionError, match=f"{size[0]}x{size[1]}.*nearest size.*{nearest}"):
            call()
    height, width = map(int, nearest.split("x"))
    model.check((height, width))


def test_a_patch_asked_for_must_tile_unless_official(build):
    images, geometry = _images(1, 3, 16, 20), Geometry(encoder_patch=(8, 8))
    with pytest.raises(ResolutionError, match="8x8 pixels do not tile 16x20"):
        build().encode(images, geometry)
    assert build(official=True).encode(images, geometry).shape == (1, 6, 16)


def test_positions_that_do_not_reach_are_found_before_anything_runs(build):
    model = build(pos_embed="learned", pos_grid_size=3, patch_embed="fixed")
    model.check((24, 24))
    with pytest.raises(ResolutionError, match=r"24x32 in patches of 8 pixels has 4.*pos_grid_size"):
        model.check((24, 32))


@pytest.mark.parametrize("pos_embed", ["grid", "rope", "rope_learnable", "none"])
@pytest.mark.parametrize("patch_embed", ["fixed", "bilinear"])
def test_sizes_never_seen_are_no_obstacle(build, pos_embed, patch_embed):
    model = build(pos_embed=pos_embed, patch_embed=patch_embed)
    for size in [(16, 16), (16, 48), (80, 72)]:
        model.check(size)
        assert model(_images(1, 3, *size)).reconstruction.shape == (1, 3, *size)


def test_super_resolution_decodes_four_times_the_size_on_the_same_lattice(build):
    model = build()
    codes = model.tokenize(_images(1, 3, 16, 32))
    images = model.detokenize(codes, (64, 128), Geometry(decoder_patch=(16, 16)))
    assert images.shape == (1, 3, 64, 128)
    small = model.detokenize(codes, (16, 32), Geometry(decoder_patch=(4, 4)))
    torch.testing.assert_close(images[..., 4:-4:4, 4:-4:4], small[..., 1:-1, 1:-1], atol=1e-4, rtol=0)


def test_training_draws_patches_for_input_and_target_apart(build):
    model, rng = build(), np.random.default_rng(0)
    drawn = [model.draw_geometry(rng, (16, 16), (32, 32), 3) for _ in range(60)]
    assert {g.encoder_patch for g in drawn} == {(4, 4), (8, 8)}
    assert {g.decoder_patch for g in drawn} == {(8, 8), (16, 16)}
    assert len({(g.encoder_patch, g.decoder_patch) for g in drawn}) == 4
    assert {g.num_tokens for g in drawn} == {3}
    model(_images(1, 3, 16, 16), (32, 32), drawn[0])


def test_training_draws_the_official_base_if_told(build):
    rng = np.random.default_rng(0)
    drawn = [build(official=True).draw_geometry(rng, (256, 512), (16, 16), None) for _ in range(40)]
    assert {g.encoder_patch for g in drawn} == {(4, 4), (8, 8)}


def test_a_fixed_patch_leaves_nothing_to_draw(build):
    model = build(patch_embed="fixed")
    assert model.draw_geometry(np.random.default_rng(0), (16, 16), (32, 32), 3) == Geometry(num_tokens=3)
    assert model.decoder.blur is None


@pytest.mark.parametrize(("pos_embed", "patch_embed"), ARMS)
def test_under_bf16_the_codes_are_chosen_in_fp32(build, pos_embed, patch_embed):
    model, images = build(pos_embed=pos_embed, patch_embed=patch_embed), _images(2, 3, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        latents = model.encode(images)
        out = model.quantize(latents)
        reconstruction = model.decode(out.z_q, (16, 16))
    assert latents.dtype == reconstruction.dtype == torch.bfloat16
    assert out.loss.dtype == torch.float32
    assert torch.equal(out.indices, model.quantize(latents.float()).indices)
    torch.testing.assert_close(reconstruction.float(), model.decode(out.z_q.float(), (16, 16)), atol=0.15, rtol=0.05)


def test_some_steps_of_training_lower_the_loss(build):
    model = build(codebook_init="data", revive_after=10).train()
    images = _images(2, 3, 16, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        loss = (model(images).reconstruction - images).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latent_width": 250}, "250 is no multiple of num_codebooks 8"),
        ({"blur_kernel_size": 8}, "must be odd, got 8"),
        ({"patch_embed": "fixed", "decoder_output": "resize"}, "decoder_output resize needs an adaptive patch_embed"),
        ({"kernel_size": 6}, "kernel_size 6 is too small for blur_kernel_size 9: it must be at least 7"),
        ({"patch_sizes": (16, 8)}, r"must ascend, got \[16, 8\]"),
        ({"min_patches": 9, "max_patches": 8}, "min_patches 9 is above max_patches 8"),
        ({"encoder": TransformerConfig(width=30, num_layers=1, num_heads=4)}, "encoder's width 30 .* multiple of 4"),
        (
            {"decoder": TransformerConfig(width=24, num_layers=1, num_heads=4), "pos_embed": "rope"},
            "decoder's width 24 .* multiple of 16",
        ),
        ({"pos_embed": "sine"}, "rope_learnable"),
        ({"num_latents": 3}, "Extra inputs"),
    ],
)
def test_options_that_cannot_be_built_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        VibeTokenConfig(**options)


def test_schemes_of_lengths_begin_alike_and_native_has_nothing_more(build):
    states = {scheme: build(length_scheme=scheme).state_dict() for scheme in ("native", "tail_drop", "nested")}
    assert states["nested"].keys() - states["native"].keys() == {"decoder.dropped_token"}
    assert states["tail_drop"].keys() == states["native"].keys()
    assert all(torch.equal(states["nested"][name], value) for name, value in states["native"].items())


@pytest.mark.parametrize("scheme", ["tail_drop", "nested"])
def test_asked_for_a_length_dropping_gives_the_first_codes_of_all(build, scheme):
    model, images = build(length_scheme=scheme), _images(2, 3, 16, 16)
    whole = model.tokenize(images)
    assert whole.shape == (2, 4, 6)
    for length in (1, 4, 6):
        assert torch.equal(model.tokenize(images, Geometry(num_tokens=length)), whole[..., :length])
    native = build()
    assert not torch.equal(native.tokenize(images, Geometry(num_tokens=1)), native.tokenize(images)[..., :1])


@torch.no_grad()
@pytest.mark.parametrize("scheme", ["native", "tail_drop", "nested"])
def test_a_training_step_of_one_length_reconstructs_what_its_codes_do(build, scheme):
    model, images = build(length_scheme=scheme), _images(2, 3, 16, 16)
    geometry = Geometry(num_tokens=3)
    output = model(images, geometry=geometry)
    # the quantiser's loss covers what the encoder makes: what is dropped too
    assert output.quantizer.indices.shape[2] == (3 if scheme == "native" else 6)
    codes = model.tokenize(images, geometry)
    assert torch.equal(output.quantizer.indices[..., :3], codes)
    for asked in (geometry, Geometry()):
        torch.testing.assert_close(model.detokenize(codes, (16, 16), asked), output.reconstruction)


@torch.no_grad()
def test_nested_images_with_lengths_of_their_own_are_decoded_as_each_alone(build):
    model, images = build(length_scheme="nested"), _images(3, 3, 16, 16)
    lengths = torch.tensor([1, 6, 3])
    together = model(images, geometry=Geometry(lengths=lengths)).reconstruction
    for number, length in enumerate(lengths.tolist()):
        alone = model(images[number : number + 1], geometry=Geometry(num_tokens=length)).reconstruction
        torch.testing.assert_close(together[number : number + 1], alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together, model(images).reconstruction)


def test_the_decoder_of_tail_drop_reads_fewer_tokens_and_that_of_nested_all(build):
    for scheme, num in [("native", 2), ("tail_drop", 2), ("nested", 6)]:
        model, seen = build(length_scheme=scheme), []
        model.decoder.transformer.register_forward_pre_hook(
            lambda m, inputs, seen=seen: seen.append(inputs[0].shape[1])
        )
        model(_images(1, 3, 16, 16), geometry=Geometry(num_tokens=2))
        assert seen == [1 + 16 + num]


@pytest.mark.parametrize("decoder_output", ["resize", "patch"])
def test_other_decoder_outputs_learn_everywhere_and_make_the_size(build, decoder_output):
    model = build(decoder_output=decoder_output).train()
    out = model(_images(2, 3, 16, 24), (32, 16))
    assert out.reconstruction.shape == (2, 3, 32, 16)
    out.reconstruction.square().mean().backward()
    assert all(p.grad is not None and p.grad.any() for name, p in model.named_parameters() if "quantizer" not in name)
    geometry = model.draw_geometry(np.random.default_rng(0), (16, 16), (16, 16), None)
    assert (geometry.decoder_patch is None) == (decoder_output == "patch")


def test_a_decoder_of_patches_has_a_lattice_that_grows(build):
    patches, canvas = build(decoder_output="patch"), build(decoder_output="resize")
    assert patches.decoder.pixels == patches.config.patch_size == 8
    assert patches.decoder.blur is None
    assert canvas.decoder.pixels == 16
    assert not list(canvas.decoder.blur.parameters())
    lattices = []
    patches.decoder.register_forward_pre_hook(lambda module, args: lattices.append(args[1]))
    for side in (16, 64):
        patches(_images(1, 3, side, side))
    assert lattices == [(2, 2), (8, 8)]
    patches.check((16, 24))
    with pytest.raises(ResolutionError, match="patches of 8 pixels do not tile 12x12"):
        patches.check((12, 12))


@pytest.mark.parametrize(
    ("width", "quantizer", "sizes"),
    [
        (4, {"name": "fsq", "levels": [8, 8, 5, 5]}, (1600,)),
        (12, {"name": "lfq", "num_bits": 6, "num_codebooks": 2}, (64, 64)),
        (16, {"name": "ibq", "codebook_size": 8}, (8,)),
    ],
)
def test_another_quantizer_takes_the_place_of_the_codebooks(build, width, quantizer, sizes):
    model = build(latent_width=width, quantizer=quantizer, num_codebooks=3).train()
    assert model.codebook_sizes == sizes
    out = model(_images(2, 3, 16, 16))
    (out.reconstruction.square().mean() + out.quantizer.loss).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())
    model.eval()
    indices = model.tokenize(_images(1, 3, 16, 16))
    torch.testing.assert_close(model.detokenize(indices, (16, 16)), model(_images(1, 3, 16, 16)).reconstruction)


@pytest.mark.parametrize(
    ("quantizer", "part"),
    [
        ({"name": "lfk", "num_bits": 4}, "Did you mean 'lfq'"),
        ({"name": "lfq", "num_bit": 4}, "num_bit: Extra inputs"),
        ({"name": "lfq", "num_bits": 4}, "latent_width 16 does not fit 1 codebooks of 4 bits: it must be 4"),
    ],
)
def test_wrong_options_of_a_quantizer_are_named(build, quantizer, part):
    with pytest.raises(ValidationError, match=part):
        build(quantizer=quantizer)
