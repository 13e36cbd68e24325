"""Reconstructions as the source of a pass: checked, 8-bit, and from perturbed codes where these are asked for."""

import numpy as np
import pytest
import torch

from vtbench.data.dataset import ImageDataset
from vtbench.errors import ResolutionError, TrainingError
from vtbench.evaluate.perturbation import perturbed
from vtbench.evaluate.reconstructions import Codec, Reconstructions, checked_uint8, decoded_along
from vtbench.schema.study import Route

SIZE = (4, 6)


class _Images(ImageDataset):
    """Image i is all i."""

    content_key, label_names = "grey", ()
    labels = np.arange(100) % 7

    def __init__(self):
        pass

    def training_pair(self, indices, input_size, target_size, rng, flip):
        raise NotImplementedError

    def images(self, indices, size):
        grey = torch.tensor(indices, dtype=torch.uint8)
        return grey[:, None, None, None].expand(-1, 3, *size)


class _Codec:
    """One codebook of 256 entries: every one of five tokens is the grey value; decodes to their mean."""

    def __init__(self):
        self.tokenized = 0

    def tokenize(self, images, num_tokens):
        self.tokenized += 1
        return (images[:, :1, 0, 0] * 255).round().long()[:, :, None].expand(-1, 1, 5).contiguous()

    def detokenize(self, codes, size, num_tokens):
        return (codes.float().mean(dim=(1, 2)) / 255)[:, None, None, None].expand(-1, 3, *size)

    def as_codec(self, sizes=(256,)):
        return Codec(self.tokenize, self.detokenize, lambda codes: codes.transpose(1, 2).float(), lambda: sizes)


def _source(codec=None, reconstruct=lambda images, num_tokens: images * 0.5, indices=range(10, 30)):
    return Reconstructions(reconstruct, _Images(), indices, SIZE, None, 8, {"w": 1}, codec)


def test_images_and_labels_are_those_of_the_indices():
    source = _source(indices=[5, 90, 7])
    assert source.num_reference == source.num_produced == 3
    assert source.reference(range(1, 3))[:, 0, 0, 0].tolist() == [90, 7]
    assert source.labels(range(3)).tolist() == [5, 90 % 7, 0]
    images, codes = source.produced(range(1, 3), source.reference(range(1, 3)), 0.0, False)
    assert images[:, 0, 0, 0].tolist() == [45, 4]  # 3.5 rounds to the even one
    assert codes is None
    assert source.codebook_sizes() is None


def test_codes_come_from_the_codec_only_where_they_are_wanted():
    own = _Codec()
    source = _source(own.as_codec())
    source.produced(range(8), source.reference(range(8)), 0.0, False)
    assert own.tokenized == 0
    images, codes = source.produced(range(8), source.reference(range(8)), 0.0, True)
    assert codes.shape == (8, 1, 5)
    assert images[:, 0, 0, 0].tolist() == codes[:, 0, 0].tolist() == list(range(10, 18))
    assert source.latents(codes).shape == (8, 5, 1)
    assert source.codebook_sizes() == (256,)


def test_perturbed_images_are_those_of_their_indices():
    source = _source(_Codec().as_codec())
    images, codes = source.produced(range(8), source.reference(range(8)), 0.4, False)
    clean = torch.arange(10, 18)[:, None, None].expand(8, 1, 5)
    assert torch.equal(codes, perturbed(clean, 0.4, (256,), list(range(10, 18))))
    assert ((codes != clean).sum(dim=2) == 2).all()
    assert images[:, 0, 0, 0].tolist() != list(range(10, 18))
    again, _ = _source(_Codec().as_codec()).produced(range(4, 8), source.reference(range(4, 8)), 0.4, False)
    assert torch.equal(again, images[4:])


def test_bad_reconstructions_are_named():
    with pytest.raises(TrainingError, match="at 4x6, all tokens"):
        checked_uint8(torch.full((2, 3, *SIZE), float("nan")), (2, 3, *SIZE), None)
    with pytest.raises(ResolutionError, match=r"at 4x6, 8 tokens have shape \(2, 3, 4, 5\)"):
        checked_uint8(torch.zeros(2, 3, 4, 5), (2, 3, *SIZE), 8)


def test_a_route_encodes_at_its_input_and_lands_on_its_output():
    sizes = []

    class Noting(_Codec):
        def tokenize(self, images, num_tokens):
            sizes.append(tuple(images.shape[-2:]))
            return super().tokenize(images, num_tokens)

        def detokenize(self, codes, size, num_tokens):
            sizes.append(size)
            return super().detokenize(codes, size, num_tokens)

    route = Route(input="2x3", decode="2x4", output="4x6")
    source = Reconstructions(_no_reconstruct, _Images(), range(10, 30), SIZE, None, 8, {}, Noting().as_codec(), route)
    images, codes = source.produced(range(2), source.reference(range(2)), 0.0, False)
    assert sizes == [(2, 3), (2, 4)]
    assert images.shape == (2, 3, *SIZE)
    assert images[:, 0, 0, 0].tolist() == [10, 11]
    assert codes.shape == (2, 1, 5)
    _, others = source.produced(range(2), source.reference(range(2)), 0.9, True)
    assert not torch.equal(others, codes)


def _no_reconstruct(images, num_tokens):
    raise AssertionError("a route goes through the codes")


def test_enlarging_is_the_filter_that_was_named():
    ramp = torch.linspace(0, 1, 4).expand(1, 3, 4, 4)
    codec = Codec(lambda images, n: images, lambda codes, size, n: ramp, lambda codes: codes, lambda: None)
    found = {}
    for resize in ("bicubic", "bilinear"):
        route = Route(input="2x2", decode="4x4", output="8x8", resize=resize)
        found[resize] = decoded_along(route, codec, torch.zeros(1), None)
        assert found[resize].shape == (1, 3, 8, 8)
        assert (found[resize].diff(dim=3) > -0.1).all()
    assert not torch.equal(found["bicubic"], found["bilinear"])
    by_hand = torch.nn.functional.interpolate(ramp, (8, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found["bilinear"], by_hand)
