import pytest
import torch

from vtbench.models.nn.rope import AxialRope, LearnableAxialRope, axial_frequencies, rotate

HEAD_DIM = 16


def _logits(lattice, rope=None, shift=(0, 0)):
    """Return attention logits between all patches when every patch has the same query and the same key."""
    rope = rope or AxialRope(1, HEAD_DIM, 100.0)
    height, width = lattice
    (rotation,) = rope.rotations((height + shift[0], width + shift[1]), 0, 0)
    draw = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 1, 1, 1, HEAD_DIM, generator=draw)
    tokens = (height + shift[0]) * (width + shift[1])
    q, k = (rotate(x.expand(1, 1, tokens, HEAD_DIM), rotation)[0, 0] for x in (query, key))
    q, k = (x.unflatten(0, (height + shift[0], width + shift[1]))[shift[0] :, shift[1] :].flatten(0, 1) for x in (q, k))
    return q @ k.T


def test_frequencies_fall_from_one_towards_one_over_the_base_on_both_axes():
    torch.testing.assert_close(axial_frequencies(16, 100.0)[:4], torch.tensor([1.0, 0.3162278, 0.1, 0.0316228]))
    torch.testing.assert_close(axial_frequencies(16, 100.0)[4:], axial_frequencies(16, 100.0)[:4])
    torch.testing.assert_close(axial_frequencies(16, 100.0, fastest=2.0), 2 * axial_frequencies(16, 100.0))


def test_logits_depend_on_offsets_alone():
    logits = _logits((4, 5)).unflatten(1, (4, 5)).unflatten(0, (4, 5))
    seen = {}
    for r1, c1, r2, c2 in torch.cartesian_prod(*map(torch.arange, (4, 5, 4, 5))).tolist():
        offset = (r2 - r1, c2 - c1)
        value = logits[r1, c1, r2, c2].item()
        assert seen.setdefault(offset, value) == pytest.approx(value, abs=1e-4)
    assert len({round(value, 3) for value in seen.values()}) > 40  # and they do depend on them, of which there are 63


def test_a_shifted_lattice_gives_the_same_logits():
    torch.testing.assert_close(_logits((3, 4), shift=(2, 5)), _logits((3, 4)), atol=1e-4, rtol=1e-4)


def test_a_smaller_lattice_is_the_top_left_of_a_larger_one():
    rope = AxialRope(1, HEAD_DIM, 100.0)
    small, large = rope.rotations((3, 2), 0, 0)[0], rope.rotations((5, 6), 0, 0)[0]
    torch.testing.assert_close(small.cos.unflatten(0, (3, 2)), large.cos.unflatten(0, (5, 6))[:3, :2])


def test_rows_turn_the_first_half_of_the_pairs_and_columns_the_second():
    (rotation,) = AxialRope(1, HEAD_DIM, 100.0).rotations((2, 2), 0, 0)
    sin = rotation.sin.unflatten(0, (2, 2))
    assert not sin[0, 1, :4].any()
    assert sin[0, 1, 4:].all()
    assert sin[1, 0, :4].all()
    assert not sin[1, 0, 4:].any()


def test_class_and_latents_are_not_turned():
    (rotation,) = AxialRope(1, HEAD_DIM, 100.0).rotations((2, 3), 1, 4)
    assert rotation.cos.shape == (1 + 6 + 4, HEAD_DIM // 2)
    x = torch.randn(2, 3, 11, HEAD_DIM)
    turned = rotate(x, rotation)
    torch.testing.assert_close(turned[:, :, [0, 1, 7, 8, 9, 10]], x[:, :, [0, 1, 7, 8, 9, 10]])
    assert not torch.allclose(turned[:, :, 2:7], x[:, :, 2:7], atol=1e-3)


def test_rotating_keeps_lengths_and_the_dtype():
    (rotation,) = AxialRope(1, HEAD_DIM, 100.0).rotations((3, 3), 0, 0)
    x = torch.randn(1, 2, 9, HEAD_DIM)
    torch.testing.assert_close(rotate(x, rotation).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), rotation).dtype == torch.bfloat16


def test_learnable_frequencies_begin_at_the_fixed_ones_and_are_each_layers_own():
    fixed = AxialRope(3, HEAD_DIM, 100.0).rotations((2, 3), 1, 2)
    model = LearnableAxialRope(3, HEAD_DIM, 100.0)
    for ours, theirs in zip(model.rotations((2, 3), 1, 2), fixed, strict=True):
        torch.testing.assert_close(ours.cos, theirs.cos)
        torch.testing.assert_close(ours.sin, theirs.sin)
    model.rotations((2, 3), 1, 2)[1].sin.sum().backward()
    assert model.frequencies.grad is not None
    assert [bool(row.any()) for row in model.frequencies.grad] == [False, True, False]


def test_fixed_frequencies_are_no_weights():
    assert AxialRope(2, HEAD_DIM, 100.0).state_dict() == {}


@pytest.mark.parametrize("rope", [AxialRope, LearnableAxialRope])
def test_a_head_width_that_four_does_not_divide_is_refused(rope):
    with pytest.raises(ValueError, match="18"):
        rope(1, 18, 100.0)
