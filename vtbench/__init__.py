"""vtbench: benchmarks and ablation studies for visual tokenizers and the generators that stand on them."""

__version__ = "0.1.0"
