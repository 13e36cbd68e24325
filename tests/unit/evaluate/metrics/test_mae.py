"""MAE is on the scale of [0, 1] and does not wrap around in uint8."""

import pytest
import torch

from vtbench.evaluate.metrics.mae import Mae


def test_known_answer(value_of_pairs):
    reference = torch.tensor([0, 255], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 4, 4)
    produced = torch.tensor([51, 0], dtype=torch.uint8)[:, None, None, None].expand(2, 3, 4, 4)
    assert value_of_pairs(Mae(), reference, produced) == pytest.approx((0.2 + 1.0) / 2)
