import dataclasses

import numpy as np
import pytest
import torch

from vtbench.models.tokenizers.base import Geometry, Tokenizer


def test_forward_is_encode_quantize_decode(build):
    model, images = build(), torch.rand(2, 3, 16, 16)
    geometry = Geometry(num_tokens=3)
    out = model(images, geometry=geometry)
    by_hand = model.decode(model.quantize(model.encode(images, geometry)).z_q, (16, 16), geometry)
    torch.testing.assert_close(out.reconstruction, by_hand)
    assert model(images, (32, 16), geometry).reconstruction.shape == (2, 3, 32, 16)


@pytest.mark.parametrize("num_tokens", [None, 1, 4])
def test_codes_alone_give_back_the_reconstruction(build, num_tokens):
    model, images = build(), torch.rand(2, 3, 16, 24)
    geometry = Geometry(num_tokens=num_tokens)
    codes = model.tokenize(images, geometry)
    torch.testing.assert_close(
        model.detokenize(codes, (16, 24), geometry), model(images, geometry=geometry).reconstruction, atol=1e-5, rtol=0
    )


def test_codes_survive_their_own_reconstruction_of_the_latents(build):
    model = build()
    codes = model.tokenize(torch.rand(2, 3, 16, 16))
    assert torch.equal(model.quantize(model.lookup(codes)).indices, codes)


def test_a_tokenizer_that_lacks_a_part_cannot_be_made():
    with pytest.raises(TypeError, match="lookup"):
        Tokenizer()


def test_unless_a_tokenizer_says_otherwise_training_draws_the_length_alone(build):
    rng = np.random.default_rng(0)
    assert Tokenizer.draw_geometry(build(), rng, (16, 16), (32, 32), 5) == Geometry(num_tokens=5)


def test_a_geometry_is_frozen_and_named():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Geometry().num_tokens = 3
    with pytest.raises(TypeError):
        Geometry(3)
