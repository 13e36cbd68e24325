"""Several processes that make one run: which one this is, what they tell each other, and how they end together."""

from vtbench.distributed.environment import is_main, local_rank, rank, world_size

__all__ = ["is_main", "local_rank", "rank", "world_size"]
