import vtbench.cost as cost
from vtbench.cost import tokenizer


def test_the_two_questions_about_a_tokenizer_are_at_the_top():
    assert cost.count_tokenizer is tokenizer.count_tokenizer
    assert cost.measure_tokenizer is tokenizer.measure_tokenizer
