import pytest
import torch

from vtbench.models.generators.guidance import cosine, guide, interval, scales


def test_a_number_holds_for_every_token_and_a_function_for_its_own():
    assert scales(2.0, 3) == [2.0, 2.0, 2.0]
    assert scales(lambda token: token / 2, 3) == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(("scale", "expected"), [(0.0, 4.0), (1.0, 10.0), (2.0, 16.0)])
def test_guidance_goes_from_unconditional_through_conditional(scale, expected):
    assert guide(torch.tensor([10.0]), torch.tensor([4.0]), scale).item() == expected


def test_at_scale_1_not_even_rounding_is_left():
    conditional, unconditional = torch.randn(1000), 1e4 * torch.randn(1000)
    assert torch.equal(guide(conditional, unconditional, 1.0), conditional)


def test_an_interval_includes_its_ends():
    assert scales(interval(3.0, 1, 2), 5) == [1.0, 3.0, 3.0, 1.0, 1.0]


def test_the_cosine_falls_from_its_scale_to_1():
    values = scales(cosine(5.0, 2.0, num_tokens=8), 9)
    assert values[0] == 5.0
    assert values[8] == pytest.approx(1.0)
    assert values == sorted(values, reverse=True)
    assert scales(cosine(5.0, 1.0, num_tokens=8), 5)[4] == pytest.approx(3.0)
    assert values[4] > 3.0
