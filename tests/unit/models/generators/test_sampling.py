import pytest
import torch

from vtbench.models.generators.sampling import Choice, draw, filter_logits, image_noise

CPU = torch.device("cpu")


def test_noise_belongs_to_the_seed_and_begins_alike_at_any_length():
    noise = image_noise([7, 8, 7], 100, CPU)
    assert noise.shape == (100, 3)
    assert noise.dtype == torch.float64
    assert torch.equal(noise[:, 0], noise[:, 2])
    assert not torch.equal(noise[:, 0], noise[:, 1])
    assert torch.equal(image_noise([8], 10, CPU)[:, 0], noise[:10, 1])
    assert noise.min() >= 0
    assert noise.max() < 1


def test_nothing_is_filtered_unless_asked():
    logits = torch.randn(2, 5)
    assert torch.equal(filter_logits(logits), logits)
    assert torch.equal(filter_logits(logits, top_k=9, top_p=1.0), logits)
    torch.testing.assert_close(filter_logits(logits, temperature=0.5), 2 * logits)


def test_top_k_keeps_the_likeliest_and_what_ties_with_the_last():
    logits = torch.tensor([[1.0, 5.0, 3.0, 4.0, 0.0], [2.0, 2.0, 2.0, 9.0, 1.0]])
    kept = filter_logits(logits, top_k=2).isfinite()
    assert kept.tolist() == [[False, True, False, True, False], [True, True, True, True, False]]


@pytest.mark.parametrize(("top_p", "kept"), [(0.01, 1), (0.49, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.96, 4)])
def test_top_p_keeps_the_smallest_set_above_the_share(top_p, kept):
    probabilities = torch.tensor([[0.15, 0.5, 0.05, 0.3]])
    finite = filter_logits(probabilities.log(), top_p=top_p).isfinite()[0]
    assert finite.tolist() == [p in sorted([0.15, 0.5, 0.05, 0.3])[-kept:] for p in (0.15, 0.5, 0.05, 0.3)]


def test_top_p_is_a_share_of_what_top_k_left():
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    assert filter_logits(logits, top_p=0.5).isfinite().sum() == 2
    assert filter_logits(logits, top_k=2, top_p=0.5).isfinite().sum() == 1


def test_a_draw_inverts_the_distribution():
    logits = torch.tensor([[0.25, 0.5, 0.25]]).log().expand(4, 3)
    assert draw(logits, torch.tensor([0.0, 0.2499, 0.2501, 0.7501]).double()).tolist() == [0, 0, 1, 2]


def test_what_has_no_probability_is_never_drawn():
    logits = torch.full((2, 6), -torch.inf)
    logits[:, [1, 3]] = torch.tensor([0.3, 0.7])
    ends = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert draw(logits, ends).tolist() == [1, 3]


def test_draws_have_the_distributions_frequencies():
    logits = torch.randn(1, 8)
    codes = draw(logits.expand(20000, 8), image_noise([1], 20000, CPU)[:, 0])
    found = torch.bincount(codes, minlength=8) / 20000
    torch.testing.assert_close(found, logits[0].softmax(-1), atol=0.02, rtol=0)


def test_a_choice_uses_a_row_of_noise_for_each_code():
    logits = torch.zeros(1, 4)
    choice = Choice(torch.tensor([[0.1], [0.9], [0.3]]).double())
    assert [choice(logits).item() for _ in range(3)] == [0, 3, 1]


def test_a_guided_choice_is_one_for_both_halves():
    logits = torch.tensor([[1.0, 1.1, 0.0], [0.0, 1.0, 0.0]])
    choice = Choice(None)
    assert choice(logits).tolist() == [1, 1]
    choice.guided, choice.scale = True, 3.0
    assert choice(logits).tolist() == [0, 0]
    choice.scale = 1.0
    assert choice(logits).tolist() == [1, 1]


def test_the_filters_act_after_guidance():
    logits = torch.tensor([[1.0, 1.1, 0.0], [0.0, 1.0, 0.0]])
    choice = Choice(torch.tensor([[0.999]]).double(), top_k=1)
    choice.guided, choice.scale = True, 3.0
    assert choice(logits).tolist() == [0, 0]


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"top_k": 0}, {"top_p": 0.0}])
def test_filters_that_leave_nothing_are_refused(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        Choice(None, **wrong)
