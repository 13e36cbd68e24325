import torch

from vtbench.models.nn.plain_resize import PlainResize


def test_the_same_size_is_left_alone_and_others_are_averages():
    images = torch.rand(2, 3, 8, 8)
    resize = PlainResize()
    assert resize(images, (8, 8)) is images
    small = resize(images, (4, 2))
    assert small.shape == (2, 3, 4, 2)
    torch.testing.assert_close(resize(torch.full((1, 3, 8, 8), 0.3), (3, 5)), torch.full((1, 3, 3, 5), 0.3))


def test_stripes_finer_than_the_target_are_averaged_away():
    stripes = torch.zeros(1, 3, 16, 16)
    stripes[..., ::2] = 1
    assert (PlainResize()(stripes, (4, 4)) - 0.5).abs().max() < 0.1
