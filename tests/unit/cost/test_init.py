import pytest

import vtbench.cost as cost
from vtbench.cost import model_cost, tokenizer


def test_the_questions_about_a_model_are_at_the_top():
    assert cost.count_model is model_cost.count_model
    assert cost.count_tokenizer is tokenizer.count_tokenizer
    assert cost.measure_tokenizer is tokenizer.measure_tokenizer


def test_nothing_else_is():
    with pytest.raises(AttributeError, match="count_nothing"):
        _ = cost.count_nothing
