"""How the golden files of VibeToken-Gen were made: their outputs, computed with our model."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vtbench.models.generators.base import Condition, GeneratorSize
from vtbench.models.generators.guidance import guide, scales
from vtbench.models.generators.sampling import filter_logits
from vtbench.models.generators.vibetoken_gen import VibeTokenGen
from vtbench.models.generators.vibetoken_gen_official import convert_state, official_config, official_guidance


def build(config: dict, state: dict[str, Tensor]) -> VibeTokenGen:
    """Build the model from a golden file's own config and load its weights strictly."""
    model = VibeTokenGen(
        official_config(
            GeneratorSize(width=config["dim"], num_layers=config["n_layer"], num_heads=config["n_head"]),
            num_head_layers=config["n_output_layer"],
            max_num_tokens=config["block_size"],
            num_classes=config["num_classes"],
            num_codebooks=config["num_codebooks"],
            codebook_size=config["vocab_size"] // config["num_codebooks"],
            head_norm="qkv" if "V" in config["extra_layers"] else "qk",
            score_cap=50.0 if "cap" in config["extra_layers"] else None,
            ffn_multiple=config["multiple_of"],
        )
    )
    model.load_state_dict(convert_state(state), strict=True)
    return model.eval()


def _logits_on_the_way(model: VibeTokenGen, condition: Condition, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the conditional and unconditional logits (batch, tokens, codebooks, entries) on the way to `tokens`."""
    batch, _, num_tokens = tokens.shape
    tokens = tokens.repeat(2, 1, 1)
    cache = model.new_cache(2 * batch, num_tokens)
    hidden = model.prefill(condition.twice(torch.full_like(condition.labels, model.num_classes)), cache)
    found: list[Tensor] = []
    for i in range(num_tokens):
        if i > 0:
            hidden = model.step(tokens[:, :, i - 1 : i], i, cache)
        codes = iter(tokens[:, :, i].unbind(1))

        def choose(logits: Tensor, codes=codes) -> Tensor:
            found.append(logits)
            return next(codes)

        model.sample_token(hidden, choose)
    both = torch.stack(found, dim=1).unflatten(1, (num_tokens, model.num_codebooks))
    return both[:batch], both[batch:]


def _generated(model: VibeTokenGen, condition: Condition, config: dict) -> dict[str, Tensor]:
    computed = {}
    for name, (strength, power) in config["gen"].items():
        scale = official_guidance(strength, power)
        tokens = model.generate(condition, config["gen_tokens"], cfg_scale=scale, greedy=True)
        conditional, unconditional = _logits_on_the_way(model, condition, tokens)
        guided = [
            guide(conditional[:, i], unconditional[:, i], s) for i, s in enumerate(scales(scale, tokens.shape[2]))
        ]
        computed[f"gen_{name}/tokens"] = tokens
        computed[f"gen_{name}/cond_logits"] = conditional
        computed[f"gen_{name}/uncond_logits"] = unconditional
        computed[f"gen_{name}/guided_logits"] = torch.stack(guided, dim=1)
        computed[f"guidance_schedule_{name}"] = torch.tensor(scales(scale, 257))
    return computed


def outputs(config: dict, state: dict[str, Tensor], inputs: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """Return the outputs that we know how to compute."""
    model = build(config, state)
    codes, labels = inputs["codes"], inputs["cls"]
    height, width = (inputs[f"target_{side}"][:, 0] * model.config.pixels_scale for side in "hw")
    condition = Condition(labels=labels, height=height, width=width)
    none = Condition(labels=torch.full_like(labels, model.num_classes), height=height, width=width)
    rope = model.trunk.rope
    assert rope is not None
    logits = model(codes, condition)
    first = logits[:, 0, 0]
    return {
        "freqs_cis": torch.stack([rope.cos, rope.sin], dim=-1),
        "tf/logits": logits.transpose(1, 2),
        "tf/hidden": model.hidden(codes[:, :, :-1], condition),
        "tf/loss": F.cross_entropy(logits.flatten(0, 2), codes.transpose(1, 2).flatten()).reshape(1),
        "tf_null/logits": model(codes, none).transpose(1, 2),
        "filter_topk5": filter_logits(first, top_k=5).softmax(-1),
        "filter_topp0.7": filter_logits(first, top_p=0.7).softmax(-1),
        **_generated(model, condition, config),
    }
