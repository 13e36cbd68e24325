import math

import pytest
import torch

from vtbench.models.nn.rope import Rotation
from vtbench.models.nn.sequence import SequenceRope, grid_angles, rotate_neighbours, row_angles, rows


@pytest.mark.parametrize("number", [0, 2])
def test_a_number_and_a_tensor_name_the_same_rows(number):
    table = torch.arange(15.0).view(5, 3)
    torch.testing.assert_close(rows(table, number, 3), table[number : number + 3])
    torch.testing.assert_close(rows(table, torch.tensor(number), 3), table[number : number + 3])


def test_angles_in_a_row_grow_with_the_place_and_fall_with_the_pair():
    angles = row_angles(5, 8, 10000.0)
    assert angles.shape == (5, 4)
    assert not angles[0].any()
    torch.testing.assert_close(angles[3], torch.tensor([3.0, 0.3, 0.03, 0.003]))


def test_half_of_the_pairs_turn_with_the_row_of_a_grid_and_half_with_the_column():
    angles = grid_angles(2, 3, 8, 100.0).view(2, 3, 4)
    torch.testing.assert_close(angles[1, 2], torch.tensor([1.0, 0.1, 2.0, 0.2]))
    assert (angles[:, :, :2] == angles[:, :1, :2]).all()
    assert (angles[:, :, 2:] == angles[:1, :, 2:]).all()


def test_heads_of_100_channels_have_25_pairs_for_each_axis():
    angles = grid_angles(2, 2, 100, 10000.0)
    assert angles.shape == (4, 50)
    torch.testing.assert_close(angles[1, 25:], 10000.0 ** (-torch.arange(25) / 25))


def test_neighbouring_channels_turn_as_complex_numbers():
    torch.manual_seed(0)
    x, angles = torch.randn(2, 3, 5, 8), torch.rand(5, 4) * 2 * math.pi
    turned = rotate_neighbours(x, Rotation(cos=angles.cos(), sin=angles.sin()))
    numbers = torch.view_as_complex(x.view(2, 3, 5, 4, 2)) * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(turned, torch.view_as_real(numbers).flatten(-2))


def test_the_condition_vanishes_and_token_0_is_not_turned():
    x = torch.randn(1, 1, 2, 4)
    rotation = SequenceRope(row_angles(6, 4, 10000.0))(0, 2)
    turned = rotate_neighbours(x, rotation)
    assert not turned[:, :, 0].any()
    torch.testing.assert_close(turned[:, :, 1], x[:, :, 1])


def test_scores_depend_on_the_distance_alone():
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    rope = SequenceRope(row_angles(20, 8, 10000.0))

    def score(at_q, at_k):
        return (rotate_neighbours(q, rope(at_q, 1)) * rotate_neighbours(k, rope(at_k, 1))).sum()

    torch.testing.assert_close(score(5, 3), score(15, 13))
    assert (score(5, 3) - score(5, 4)).abs() > 1e-3


def test_angles_are_applied_in_fp32_and_cast_back():
    x = torch.randn(1, 1, 3, 4, dtype=torch.bfloat16)
    rope = SequenceRope(row_angles(3, 4, 10000.0))
    turned = rotate_neighbours(x, rope(1, 3))
    assert turned.dtype == torch.bfloat16
    torch.testing.assert_close(turned, rotate_neighbours(x.float(), rope(1, 3)).bfloat16())


def test_tables_are_no_part_of_a_checkpoint():
    assert SequenceRope(row_angles(3, 4, 10000.0)).state_dict() == {}
