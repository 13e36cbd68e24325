import dataclasses

import jaxtyping
import pytest
import torch

from vtbench.models.quantizers.output import QuantizerOutput


def _output(batch=2, tokens=3, **changes):
    fields = {
        "z_q": torch.zeros(2, 3, 8),
        "indices": torch.zeros(batch, 4, tokens, dtype=torch.int64),
        "loss": torch.zeros(()),
        "stats": {"codebook_usage": torch.zeros(())},
    }
    return QuantizerOutput(**{**fields, **changes})


def test_it_is_frozen_and_named():
    output = _output()
    with pytest.raises(dataclasses.FrozenInstanceError):
        output.loss = torch.ones(())
    with pytest.raises(TypeError, match="positional"):
        QuantizerOutput(output.z_q, output.indices, output.loss, output.stats)


@pytest.mark.parametrize(
    "changes",
    [{"batch": 3}, {"tokens": 2}, {"loss": torch.zeros(1)}, {"indices": torch.zeros(2, 4, 3)}],
)
def test_shapes_that_do_not_fit_together_are_noticed(changes):
    with pytest.raises(jaxtyping.TypeCheckError):
        _output(**changes)
