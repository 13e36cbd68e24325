"""How the golden file of the VibeToken tokenizer was made: its outputs, computed with our model."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.base import Geometry
from vtbench.models.tokenizers.vibetoken import VibeToken
from vtbench.models.tokenizers.vibetoken_official import convert_state, official_config

_ENCODE = re.compile(r"^enc_(\d+)x(\d+)_p(\d+)x(\d+)_L(full|\d+)$")
_DECODE = re.compile(r"^dec_(enc_.+)_to_(\d+)x(\d+)_p(auto|(\d+)x(\d+))$")
_BLUR = re.compile(r"^blur_(\d+)x(\d+)_to_(\d+)x(\d+)$")
_KERNEL = re.compile(r"^patch_kernel_(\d+)x(\d+)$")
_POSITIONS = re.compile(r"^encpos_(\d+)x(\d+)$")


def build(config: dict, state: dict[str, Tensor]) -> VibeToken:
    """Build the model from a golden file's own config and load its weights strictly."""
    encoder, decoder = (
        TransformerConfig(width=width, num_layers=layers, num_heads=heads)
        for width, layers, heads in (config["enc"], config["dec"])
    )
    model = VibeToken(
        official_config(
            encoder,
            decoder,
            num_latent_tokens=config["num_latent_tokens"],
            latent_width=config["token_size"],
            num_codebooks=config["num_codebooks"],
            codebook_size=config["codebook_size_total"] // config["num_codebooks"],
            kernel_size=config["patch"],
        )
    )
    model.load_state_dict(convert_state(state), strict=True)
    return model.eval()


def _encoded(model: VibeToken, match: re.Match, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    height, width, patch_y, patch_x = (int(match[i]) for i in range(1, 5))
    length = None if match[5] == "full" else int(match[5])
    geometry = Geometry(num_tokens=length, encoder_patch=(patch_y, patch_x))
    latents = model.encode(inputs[f"image_{height}x{width}"], geometry)
    out = model.quantize(latents)
    codebook_loss = out.stats["codebook_loss"]

    def official_layout(x: Tensor) -> Tensor:
        return x.transpose(1, 2)[:, :, None]

    return {
        "latent": official_layout(latents),
        "quantized": official_layout(out.z_q),
        "indices": out.indices[:, :, None],
        "quantizer_loss": out.loss.reshape(1),
        "codebook_loss": codebook_loss.reshape(1),
        "commitment_loss": (out.loss - codebook_loss).reshape(1),
    }


def _one(
    model: VibeToken, name: str, inputs: dict[str, Tensor], encoded: dict[str, dict[str, Tensor]]
) -> Tensor | None:
    """Return one output by its name; None if the name means nothing here."""
    tag, _, leaf = name.rpartition("/")
    if tag in encoded:
        return encoded[tag].get(leaf)
    if match := _DECODE.match(name):
        size = (int(match[2]), int(match[3]))
        patch = None if match[4] == "auto" else (int(match[5]), int(match[6]))
        indices = encoded[match[1]]["indices"][:, :, 0]
        return model.detokenize(indices, size, Geometry(decoder_patch=patch))
    if match := _BLUR.match(name):
        in_y, in_x, out_y, out_x = map(int, match.groups())
        colour, y, x = torch.arange(3.0), torch.arange(float(in_y)), torch.arange(float(in_x))
        pattern = torch.sin(0.37 * colour[:, None, None] + 0.11 * y[:, None] + 0.23 * x)[None]
        assert model.decoder.blur is not None
        return model.decoder.blur(pattern, (out_y, out_x))
    if match := _KERNEL.match(name):
        return model.encoder.patch_embed.kernel((int(match[1]), int(match[2])))[:1]
    if match := _POSITIONS.match(name):
        added = model.encoder.positions.added
        assert added is not None
        return torch.cat([model.encoder.class_pos, added((int(match[1]), int(match[2])))])
    return None


def outputs(config: dict, state: dict[str, Tensor], inputs: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """Return the outputs called `names` that we know how to compute."""
    model = build(config, state)
    tags = {name.rpartition("/")[0] for name in names} - {""}
    encoded = {tag: _encoded(model, match, inputs) for tag in tags if (match := _ENCODE.match(tag))}
    computed = {name: _one(model, name, inputs, encoded) for name in names}
    return {name: value for name, value in computed.items() if value is not None}
