"""What a model costs: arithmetic, parameters, memory, speed."""

from vtbench.cost.tokenizer import count_tokenizer, measure_tokenizer

__all__ = ["count_tokenizer", "measure_tokenizer"]
