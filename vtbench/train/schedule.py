"""The learning rate as a pure function of the step: linear warm-up, then a cosine."""

from __future__ import annotations

import math

from vtbench.schema.run import ScheduleConfig


def factor(config: ScheduleConfig, step: int, num_steps: int) -> float:
    """Return what the peak learning rate is multiplied by at `step` (from 0) of `num_steps`.

    Warm-up rises from 1/warmup_steps to 1; the cosine falls from 1 to `final_factor` at the last step.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    span = max(1, num_steps - 1 - config.warmup_steps)
    progress = min(1.0, (step - config.warmup_steps) / span)
    return config.final_factor + (1 - config.final_factor) * 0.5 * (1 + math.cos(math.pi * progress))
