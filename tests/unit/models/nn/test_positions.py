import pytest
import torch
from pydantic import ValidationError

from vtbench.models.nn.positions import Positions, PositionsConfig
from vtbench.models.nn.transformer import TransformerConfig

TRANSFORMER = TransformerConfig(width=32, num_layers=3, num_heads=2)


def _positions(kind, **options):
    torch.manual_seed(0)
    return Positions(PositionsConfig(kind=kind, grid_size=4, **options), TRANSFORMER)


@pytest.mark.parametrize(
    ("kind", "num_weights"),
    [("grid", 16 * 32), ("learned", 16 * 32), ("rope", 0), ("rope_learnable", 3 * 8), ("none", 0)],
)
def test_each_kind_has_its_own_weights_and_no_others(kind, num_weights):
    assert sum(p.numel() for p in _positions(kind).parameters()) == num_weights


@pytest.mark.parametrize("kind", ["grid", "learned"])
def test_added_positions_are_added_and_nothing_is_turned(kind):
    positions = _positions(kind)
    patches = torch.randn(2, 6, 32)
    added = positions.add(patches, (2, 3)) - patches
    torch.testing.assert_close(added[0], added[1])
    assert added[0].std() > 0.05
    assert positions.rotations((2, 3), 1, 4) is None


@pytest.mark.parametrize("kind", ["rope", "rope_learnable"])
def test_rotary_positions_are_turned_and_nothing_is_added(kind):
    positions = _positions(kind)
    patches = torch.randn(2, 6, 32)
    assert positions.add(patches, (2, 3)) is patches
    rotations = positions.rotations((2, 3), 1, 4)
    assert rotations is not None
    assert [r.cos.shape for r in rotations] == [(11, 8)] * 3


def test_none_leaves_both_out():
    positions = _positions("none")
    patches = torch.randn(1, 6, 32)
    assert positions.add(patches, (2, 3)) is patches
    assert positions.rotations((2, 3), 1, 4) is None


def test_options_reach_their_kind():
    assert _positions("grid", init_std=0.001).added.grid.std() < 0.01
    assert _positions("grid", grid_sampling="official").added.sampling == "official"
    assert _positions("rope", rope_base=10000.0).turned.frequencies.min() == pytest.approx(0.001)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValidationError, match="rope_learnable"):
        PositionsConfig(kind="sine")
