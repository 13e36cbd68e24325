"""How the golden file of LlamaGen's tokenizer was made: its outputs, computed with our model."""

from __future__ import annotations

from torch import Tensor

from vtbench.models.tokenizers.llamagen_vq import LlamaGenVq, LlamaGenVqConfig
from vtbench.models.tokenizers.llamagen_vq_official import convert_state


def build(config: dict, state: dict[str, Tensor]) -> LlamaGenVq:
    """Build the model from a golden file's own config and load its weights strictly."""
    assert config["l2_norm"]
    model = LlamaGenVq(
        LlamaGenVqConfig(
            width=config["ch"],
            width_factors=tuple(config["ch_mult"]),
            num_res_blocks=config["num_res_blocks"],
            latent_width=config["z_channels"],
            codebook_size=config["codebook_size"],
            codebook_dim=config["codebook_embed_dim"],
        )
    )
    model.load_state_dict(convert_state(state), strict=True)
    return model.eval()


def outputs(config: dict, state: dict[str, Tensor], inputs: dict[str, Tensor], names: list[str]) -> dict[str, Tensor]:
    """Return the outputs that we know how to compute; the official images are in [-1, 1]."""
    model = build(config, state)
    images = (inputs["image"] + 1) / 2
    size = (images.shape[2], images.shape[3])

    def as_maps(latents: Tensor) -> Tensor:
        return latents.transpose(1, 2).unflatten(2, model.grid(size))

    latents = model.encode(images)
    quantised = model.quantize(latents)
    return {
        "encoder": model.encoder(inputs["image"]),
        "latent": as_maps(latents),
        "quant": as_maps(quantised.z_q),
        "indices": quantised.indices.flatten(),
        "decode": 2 * model.decode(quantised.z_q, size) - 1,
        "decode_code": 2 * model.detokenize(quantised.indices, size) - 1,
    }
