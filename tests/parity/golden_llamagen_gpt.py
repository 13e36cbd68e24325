"""How the golden file of LlamaGen's GPT was made: its outputs, computed with our model."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from vtbench.models.generators.base import Condition, GeneratorSize
from vtbench.models.generators.guidance import guide, scales
from vtbench.models.generators.llamagen import LlamaGen
from vtbench.models.generators.llamagen_official import convert_state, official_config, official_guidance


def build(config: dict, state: dict[str, Tensor]) -> LlamaGen:
    """Build the model from a golden file's own config and load its weights strictly."""
    side = math.isqrt(config["block_size"])
    model = LlamaGen(
        official_config(
            GeneratorSize(width=config["dim"], num_layers=config["n_layer"], num_heads=config["n_head"]),
            grid_size=(side, side),
            num_classes=config["num_classes"],
            codebook_size=config["vocab_size"],
            ffn_multiple=config["multiple_of"],
        )
    )
    model.load_state_dict(convert_state(state), strict=True)
    return model.eval()


def _logits_on_the_way(model: LlamaGen, condition: Condition, tokens: Tensor, strength: list[float]) -> Tensor:
    """Return what each of `tokens` (batch, tokens) was chosen from, on a cache."""
    batch, num_tokens = tokens.shape
    both = condition.twice(torch.full_like(condition.labels, model.num_classes))
    cache = model.new_cache(2 * batch, num_tokens)
    hidden = model.prefill(both, cache)
    found = []
    for i, scale in enumerate(strength):
        if i > 0:
            hidden = model.step(tokens[:, None, i - 1 : i].repeat(2, 1, 1), i, cache)
        found.append(guide(*model.logits(hidden)[:, 0, 0].chunk(2), scale))
    return torch.stack(found, dim=1)


def outputs(config: dict, state: dict[str, Tensor], inputs: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """Return the outputs that we know how to compute."""
    model = build(config, state)
    codes, labels = inputs["codes"], inputs["cls"]
    condition = Condition(labels=labels)
    rope = model.trunk.rope
    assert rope is not None
    logits = model(codes[:, None], condition)[:, :, 0]
    computed = {
        "freqs_cis": torch.stack([rope.cos, rope.sin], dim=-1),
        "tf/logits": logits,
        "tf/loss": F.cross_entropy(logits.flatten(0, 1), codes.flatten()).reshape(1),
        "tf_null/logits": model(codes[:, None], Condition(labels=torch.full_like(labels, model.num_classes)))[:, :, 0],
    }
    for name, (cfg_scale, cfg_interval) in config["gen"].items():
        scale, num_tokens = official_guidance(cfg_scale, int(cfg_interval)), config["gen_tokens"]
        tokens = model.generate(condition, num_tokens, cfg_scale=scale, greedy=True)[:, 0]
        computed[f"gen_{name}/tokens"] = tokens
        computed[f"gen_{name}/next_logits"] = _logits_on_the_way(model, condition, tokens, scales(scale, num_tokens))
    return computed
