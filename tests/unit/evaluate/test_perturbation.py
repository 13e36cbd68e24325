"""Replaced codes: how many, by what, and the same ones each time."""

import pytest
import torch

from vtbench.evaluate.perturbation import perturbed


def _codes(batch=3, sizes=(16, 5), tokens=40):
    generator = torch.Generator().manual_seed(0)
    return torch.stack([torch.randint(0, size, (batch, tokens), generator=generator) for size in sizes], dim=1)


@pytest.mark.parametrize(("share", "num"), [(0.0, 0), (0.1, 4), (0.26, 10), (1.0, 40)])
def test_the_share_is_replaced_by_other_codes(share, num):
    codes = _codes()
    found = perturbed(codes, share, (16, 5), [0, 1, 2])
    assert ((found != codes).sum(dim=-1) == num).all()
    assert found.dtype == codes.dtype
    assert (found >= 0).all()
    assert (found[:, 0] < 16).all()
    assert (found[:, 1] < 5).all()


def test_an_image_alone_decides():
    codes = _codes()
    whole = perturbed(codes, 0.5, (16, 5), [7, 8, 9])
    for row, index in enumerate((7, 8, 9)):
        assert torch.equal(perturbed(codes[row : row + 1], 0.5, (16, 5), [index])[0], whole[row])
    assert not torch.equal(perturbed(codes, 0.5, (16, 5), [1, 8, 9])[0], whole[0])


def test_all_other_codes_are_equally_likely():
    codes = torch.zeros(200, 1, 30, dtype=torch.int64)
    counts = torch.bincount(perturbed(codes, 1.0, (4,), list(range(200))).flatten(), minlength=4)
    assert counts[0] == 0
    assert (counts[1:] - 2000).abs().max() < 200


def test_a_codebook_of_one_entry_is_left_alone():
    codes = torch.zeros(2, 1, 5, dtype=torch.int64)
    assert torch.equal(perturbed(codes, 1.0, (1,), [0, 1]), codes)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="between 0 and 1"):
        perturbed(_codes(), 1.5, (16, 5), [0, 1, 2])
    with pytest.raises(ValueError, match="need 3 indices and 2 sizes"):
        perturbed(_codes(), 0.5, (16,), [0, 1, 2])
