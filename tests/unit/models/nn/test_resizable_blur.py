import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vtbench.models.nn.resizable_blur import ResizableBlur


def _blur(init="delta", weight=None):
    blur = ResizableBlur(init=init)
    if weight is not None:
        with torch.no_grad():
            blur.weight.copy_(weight)
    return blur


def _stripes(length):
    """Return columns that alternate between 1 and -1: the finest pattern there is."""
    return (1 - 2 * (torch.arange(length) % 2)).float().expand(1, 3, length, -1)


@settings(max_examples=40, deadline=None)
@given(st.integers(7, 40), st.integers(7, 40), st.integers(1, 40), st.integers(1, 40))
def test_any_canvas_not_smaller_than_the_kernel_comes_out_at_any_size(height, width, out_height, out_width):
    blur = _blur("lowpass")
    out = blur(torch.ones(1, 3, height, width), (out_height, out_width))
    assert out.shape == (1, 3, out_height, out_width)
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("size", [(32, 32), (16, 16), (8, 8), (32, 16), (20, 24)])
def test_a_constant_image_stays_constant_away_from_the_borders(size):
    torch.manual_seed(0)
    blur = _blur(weight=torch.rand(1, 1, 9, 9))
    out = blur(torch.full((1, 3, 32, 32), 0.7), size)
    margin = max(1, size[0] // 6), max(1, size[1] // 6)
    inside = out[:, :, margin[0] : -margin[0], margin[1] : -margin[1]]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.7))
    assert out[0, 0, 0, 0] < 0.69  # zeros from outside


@pytest.mark.parametrize(("scale", "side"), [(1, 5), (2, 7), (3, 9), (4, 9)])
def test_the_kernel_widens_with_the_scale_up_to_its_own_size(scale, side):
    image = torch.zeros(1, 3, 24 * scale, 24 * scale)
    image[..., 12 * scale, 12 * scale] = 1.0
    # Each output reads a window, and those that see the one bright pixel are as many as strides fit into the window.
    seen = _blur(weight=torch.ones(1, 1, 9, 9))(image, (24, 24))[0, 0]
    assert (seen > 0).any(0).sum() == 2 * (side // 2 // scale) + 1
    assert seen.max().item() == pytest.approx(1 / side**2)


def test_the_kernels_scale_makes_no_difference():
    torch.manual_seed(0)
    weight, images = torch.rand(1, 1, 9, 9), torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(_blur(weight=weight)(images, (8, 8)), _blur(weight=7 * weight)(images, (8, 8)))


def test_a_delta_changes_nothing_at_the_same_size():
    images = torch.rand(2, 3, 12, 10)
    torch.testing.assert_close(_blur()(images, (12, 10)), images)


@pytest.mark.parametrize("scale", [2, 4])
def test_a_delta_decimates(scale):
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(_blur()(images, (16 // scale, 16 // scale)), images[:, :, ::scale, ::scale])


def test_a_delta_lets_the_finest_stripes_alias_and_a_low_pass_removes_them():
    stripes = _stripes(32)
    aliased = _blur("delta")(stripes, (16, 16))
    torch.testing.assert_close(aliased, torch.ones_like(aliased))
    assert _blur("lowpass")(stripes, (16, 16))[..., 2:-2, 2:-2].abs().max() < 0.05


def test_a_low_pass_begins_with_weights_that_sum_to_one():
    weight = ResizableBlur(7, "lowpass").weight
    assert weight.shape == (1, 1, 7, 7)
    assert weight.sum().item() == pytest.approx(1)
    assert weight.min() > 0
    torch.testing.assert_close(weight, weight.flip(2, 3))
    assert weight.argmax() == 24


def test_the_colours_do_not_mix():
    images = torch.zeros(1, 3, 16, 16)
    images[:, 1] = torch.rand(16, 16)
    out = _blur("lowpass")(images, (8, 8))
    assert out[:, 1].any()
    assert not out[:, [0, 2]].any()


def test_the_axes_have_strides_of_their_own():
    columns = torch.rand(1, 3, 1, 16).expand(-1, -1, 16, -1)
    torch.testing.assert_close(_blur()(columns, (16, 8)), columns[:, :, :, ::2])
    rows = columns.transpose(2, 3)
    torch.testing.assert_close(_blur()(rows, (8, 16)), rows[:, :, ::2])


def test_the_dtype_is_kept():
    assert _blur()(torch.rand(1, 3, 16, 16).bfloat16(), (8, 8)).dtype == torch.bfloat16
