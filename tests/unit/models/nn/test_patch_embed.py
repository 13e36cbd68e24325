import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vtbench.models.nn.patch_embed import AdaptivePatchEmbed, FixedPatchEmbed, pinv_matrix


def _adaptive(resize, kernel_size=8, width=4):
    torch.manual_seed(0)
    return AdaptivePatchEmbed(width, kernel_size, resize)


def _resize_matrix(base, patch):
    """Return the float64 matrix of a half-pixel bilinear resize of a flat image, written out by hand."""

    def one_axis(source, target):
        matrix = np.zeros((target, source))
        for i in range(target):
            position = min(max((i + 0.5) * source / target - 0.5, 0.0), source - 1.0)
            low = int(position)
            high = min(low + 1, source - 1)
            matrix[i, low] += 1 - (position - low)
            matrix[i, high] += position - low
        return matrix

    return np.kron(one_axis(base, patch[0]), one_axis(base, patch[1]))


def test_a_fixed_embedding_is_a_linear_map_of_each_patch():
    torch.manual_seed(0)
    model = FixedPatchEmbed(5, 4)
    images = torch.rand(2, 3, 8, 12)
    out = model(images, (4, 4))
    assert out.shape == (2, 5, 2, 3)
    patch = images[1, :, 4:8, 8:12]
    by_hand = torch.einsum("oihw,ihw->o", model.conv.weight, patch) + model.conv.bias
    torch.testing.assert_close(out[1, :, 1, 2], by_hand)


@pytest.mark.parametrize("resize", ["bilinear", "pinv"])
def test_at_the_base_size_the_kernel_is_the_weight_itself(resize):
    model = _adaptive(resize)
    torch.testing.assert_close(model.kernel((8, 8)), model.weight)


@pytest.mark.parametrize("resize", ["bilinear", "pinv"])
@pytest.mark.parametrize("patch", [(4, 4), (8, 8), (2, 6), (12, 16)])
def test_any_patch_gives_its_own_lattice(resize, patch):
    model = _adaptive(resize)
    assert model(torch.rand(1, 3, 24, 48), patch).shape == (1, 4, 24 // patch[0], 48 // patch[1])


def test_a_remainder_is_left_out():
    model = _adaptive("bilinear")
    images = torch.rand(1, 3, 19, 23)
    torch.testing.assert_close(model(images, (8, 8)), model(images[:, :, :16, :16], (8, 8)))


@pytest.mark.parametrize("patch", [(2, 2), (3, 3), (4, 6), (8, 4), (12, 12), (16, 12)])
def test_pinv_is_the_pseudo_inverse_of_the_resize(patch):
    model = _adaptive("pinv")
    expected = np.linalg.pinv(_resize_matrix(8, patch).T) @ model.weight.detach().double().flatten(2).numpy()[..., None]
    kernel = model.kernel(patch).detach().double().flatten(2).numpy()
    np.testing.assert_allclose(kernel, expected[..., 0], atol=1e-5)


@pytest.mark.parametrize("patch", [(8, 16), (16, 16), (24, 12)])
def test_pinv_gives_an_enlarged_patch_the_embedding_of_the_patch(patch):
    model = _adaptive("pinv")
    images = torch.rand(2, 3, 8, 8)
    enlarged = F.interpolate(images, size=patch, mode="bilinear", align_corners=False)
    torch.testing.assert_close(model(enlarged, patch), model(images, (8, 8)), atol=1e-5, rtol=1e-4)


def test_pinv_from_8_to_2_sums_the_centre_of_each_block():
    model = _adaptive("pinv")
    blocks = model.weight.unflatten(3, (2, 4)).unflatten(2, (2, 4))
    torch.testing.assert_close(model.kernel((2, 2)), blocks[:, :, :, 1:3, :, 1:3].sum((3, 5)), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(("patch", "response"), [(8, 0.25), (12, 0.36), (16, 1.0)])
def test_pinv_answers_to_a_constant_image_less_the_smaller_the_patch(patch, response):
    model = AdaptivePatchEmbed(1, 32, "pinv")
    with torch.no_grad():
        model.weight.fill_(1 / (3 * 32 * 32))
    assert model(torch.ones(1, 3, patch, patch), (patch, patch)).item() == pytest.approx(response, abs=0.005)


@pytest.mark.parametrize("patch", [(3, 5), (4, 4), (16, 16)])
def test_bilinear_answers_to_a_constant_image_alike_at_every_size(patch):
    model = AdaptivePatchEmbed(1, 8, "bilinear")
    with torch.no_grad():
        model.weight.fill_(1 / (3 * 8 * 8))
    assert model(torch.ones(1, 3, *patch), patch).item() == pytest.approx(1.0, abs=1e-4)


def test_a_reference_changes_the_scale_of_the_weights_and_nothing_else():
    torch.manual_seed(0)
    one = AdaptivePatchEmbed(2, 8, "bilinear")
    torch.manual_seed(0)
    other = AdaptivePatchEmbed(2, 8, "bilinear", reference_size=2)
    torch.testing.assert_close(other.weight, 16 * one.weight)
    for patch in ((2, 2), (4, 4), (8, 8)):
        torch.testing.assert_close(one.kernel(patch), other.kernel(patch))


def test_bilinear_from_8_to_4_sums_neighbours():
    model = _adaptive("bilinear")
    torch.testing.assert_close(model.kernel((4, 4)), 4 * F.avg_pool2d(model.weight, 2))


@pytest.mark.parametrize("resize", ["bilinear", "pinv"])
def test_kernels_are_derived_in_fp32_under_autocast(resize):
    model = _adaptive(resize)
    plain = model.kernel((4, 4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(model.kernel((4, 4)), plain)
        assert model(torch.rand(1, 3, 8, 8), (4, 4)).dtype == torch.bfloat16


def test_the_matrix_is_computed_once_and_can_be_made_for_a_model_without_storage():
    with torch.device("meta"):
        matrix = pinv_matrix(6, (3, 2))
        model = AdaptivePatchEmbed(4, 6, "pinv")
    assert matrix.device.type == "cpu"
    assert pinv_matrix(6, (3, 2)) is matrix
    assert model.kernel((3, 2)).shape == (4, 3, 3, 2)
