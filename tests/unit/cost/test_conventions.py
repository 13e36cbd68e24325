import pytest

from vtbench.cost.conventions import CONVENTIONS, convention
from vtbench.errors import CostError


def test_full_counts_two_for_each_multiply_accumulate_and_is_the_default():
    assert convention() is CONVENTIONS["full"]
    assert convention("full").apply(532_900_000_000) == 1_065_800_000_000
    assert convention("macs").apply(7) == 7


def test_a_printed_figure_carries_its_convention():
    assert convention("full").text(532_900_000_000) == "1065.8 GFLOPs (full)"
    assert convention("macs").text(532_900_000_000) == "532.9 GMACs (macs)"


def test_an_unknown_convention_names_the_nearest():
    with pytest.raises(CostError, match=r"'ful'.* Did you mean 'full'"):
        convention("ful")
