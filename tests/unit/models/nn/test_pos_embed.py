import pytest
import torch

from vtbench.errors import ResolutionError
from vtbench.models.nn.pos_embed import GridPosEmbed, LearnedPosEmbed


def _grid(values, sampling):
    """Return a position grid of one channel with these values."""
    model = GridPosEmbed(1, len(values), sampling)
    with torch.no_grad():
        model.grid.copy_(torch.tensor(values).reshape(-1, 1))
    return model


def _ones(size, sampling):
    return _grid([[1.0] * size] * size, sampling)


def test_at_its_own_size_the_grid_is_read_as_it_is():
    torch.manual_seed(0)
    model = GridPosEmbed(8, 5)
    torch.testing.assert_close(model((5, 5)), model.grid)


def test_a_resize_is_bilinear_between_the_centres_of_cells():
    model = _grid([[0.0, 1.0], [0.0, 1.0]], "resize")
    torch.testing.assert_close(model((1, 4)).flatten(), torch.tensor([0.0, 0.25, 0.75, 1.0]))
    rows = _grid([[0.0, 0.0], [1.0, 1.0]], "resize")
    torch.testing.assert_close(rows((4, 1)).flatten(), torch.tensor([0.0, 0.25, 0.75, 1.0]))


def test_positions_run_row_by_row():
    model = _grid([[0.0, 1.0], [2.0, 3.0]], "resize")
    assert model((2, 2)).flatten().tolist() == [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("lattice", [(4, 4), (3, 7), (9, 5)])
def test_a_constant_grid_stays_constant_when_resized(lattice):
    torch.testing.assert_close(_ones(4, "resize")(lattice), torch.ones(lattice[0] * lattice[1], 1))


@pytest.mark.parametrize("lattice", [(4, 4), (3, 5), (6, 8)])
def test_the_official_way_halves_edges_and_quarters_corners(lattice):
    values = _ones(4, "official")(lattice).reshape(lattice)
    torch.testing.assert_close(values[1:-1, 1:-1], torch.ones(lattice[0] - 2, lattice[1] - 2))
    for edge in (values[0, 1:-1], values[-1, 1:-1], values[1:-1, 0], values[1:-1, -1]):
        torch.testing.assert_close(edge, torch.full_like(edge, 0.5))
    torch.testing.assert_close(values[[0, 0, -1, -1], [0, -1, 0, -1]], torch.full((4,), 0.25))


def test_the_official_way_reads_an_axis_of_length_one_at_its_beginning():
    model = _grid([[4.0, 0.0], [0.0, 0.0]], "official")
    torch.testing.assert_close(model((1, 1)).flatten(), torch.tensor([1.0]))
    torch.testing.assert_close(model((1, 2)).flatten(), torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("sampling", ["resize", "official"])
def test_every_cell_learns(sampling):
    model = GridPosEmbed(4, 3, sampling)
    model((3, 3)).square().sum().backward()
    assert model.grid.grad is not None
    assert model.grid.grad.abs().sum(dim=1).all()


def test_a_learned_table_gives_small_lattices_its_top_left():
    torch.manual_seed(0)
    model = LearnedPosEmbed(8, 4)
    table = model.grid.detach().reshape(4, 4, 8)
    torch.testing.assert_close(model((2, 3)), table[:2, :3].reshape(6, 8))
    torch.testing.assert_close(model((4, 4)), model.grid)


@pytest.mark.parametrize("lattice", [(5, 4), (4, 5)])
def test_a_lattice_beyond_the_table_is_refused(lattice):
    with pytest.raises(ResolutionError, match=rf"reach 4x4 patches, the lattice is {lattice[0]}x{lattice[1]}"):
        LearnedPosEmbed(8, 4)(lattice)


@pytest.mark.parametrize("kind", [GridPosEmbed, LearnedPosEmbed])
def test_the_spread_at_the_start_can_be_set(kind):
    torch.manual_seed(0)
    assert kind(16, 32).grid.std().item() == pytest.approx(0.25, rel=0.03)
    assert kind(16, 32, std=0.02).grid.std().item() == pytest.approx(0.02, rel=0.03)
