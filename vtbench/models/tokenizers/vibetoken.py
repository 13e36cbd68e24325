"""VibeToken: a one-dimensional tokenizer for images of any resolution.

Patel et al., "VibeToken: Scaling 1D Image Tokenizers and Autoregressive Models for Dynamic Resolution Generations"
(arXiv 2604.24885); official code SonyResearch/VibeToken, commit 28b695b. Four pieces make the resolution free:
dynamic grid positions, adaptive patch embedding, adaptive decoder resolution, and a dynamic number of latents; the
codes come from multi-codebook vector quantisation, or from another quantizer in its place.

Where the paper's slides and the official code differ, the slides' way is the default:

| | default (slides) | option (official code) |
|---|---|---|
| reading the position grid | plain bilinear resize | `pos_grid_sampling: official` |
| kernel of a smaller patch | bilinear resize | `patch_embed: pinv` |
| asking for L latents | exactly L, one L a step, no padding | `official: true` gives L + 1 |
| sizes that the patch does not tile | refused | `official: true` leaves out the remainder |
| encoder patch in training | drawn by the lattice rule | `official: true` draws the base from {16, 32} |

The ablation's fixed-patch arms (`patch_embed: fixed`) use one patch size in encoder and decoder; each token then
decodes to its own patch and no blur follows. Two other ways from an adaptive decoder's tokens to pixels are there to be
compared with the blur (`decoder_output`): a plain resize of the same canvas, and a lattice of fixed patches, as in the
fixed-patch arms, behind an adaptive encoder.

Three ways to serve several lengths (`length_scheme`), of which the others are there to be compared with the first:

- `native` (slides): the encoder makes exactly L latents and the decoder reads exactly L.
- `tail_drop` (One-D-Piece, Miwa et al. 2025; official code, commit 473665d): the encoder always makes all latents, the
  quantiser's loss covers all, and the decoder reads the first L. The official code draws L in each process; here one is
  drawn for all.
- `nested` (FlexTok, arXiv 2502.13967; official code, commit 87d00cc): as `tail_drop`, but the decoder reads a learned
  token in place of each latent that was dropped, so that it always sees the full length, and each image of a batch may
  have its own L. FlexTok's latents attend only to those before them; these attend to all, and only the nested dropping
  orders them.

Asked for L, all give exactly L codes and decode them; where latents are dropped, these are the first L of all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float, Int
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from torch import Tensor

from vtbench.errors import RegistryError, ResolutionError
from vtbench.models.decoders.mask_token import MaskTokenDecoder
from vtbench.models.nn.latent_encoder import LatentEncoder
from vtbench.models.nn.patch_embed import AdaptivePatchEmbed, FixedPatchEmbed
from vtbench.models.nn.plain_resize import PlainResize
from vtbench.models.nn.pos_embed import Sampling
from vtbench.models.nn.positions import PosEmbed, PositionsConfig
from vtbench.models.nn.resizable_blur import BlurInit, ResizableBlur
from vtbench.models.nn.transformer import SIZES, Attention, TransformerConfig, WeightInit
from vtbench.models.quantizers import QUANTIZERS
from vtbench.models.quantizers.base import Quantizer, QuantizerConfig
from vtbench.models.quantizers.mvq import CodebookInit, MultiCodebookQuantizer
from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.models.tokenizers.patch_rule import PatchRule, nearest_tiling, official_encoder_patch
from vtbench.schema.base import Frozen
from vtbench.schema.run import added

SizeName = Literal["tiny", "small", "base", "large"]
LengthScheme = Literal["native", "tail_drop", "nested"]


def _quantizer_config(value: Any) -> Any:
    """Return a quantizer's options as its own `Config`."""
    if not isinstance(value, Mapping):
        return value
    try:
        kind = QUANTIZERS.load(str(value.get("name"))).Config
        return kind.model_validate_json(json.dumps(dict(value)))
    except RegistryError as error:
        raise ValueError(str(error).rstrip(".")) from error
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'options'}: {each['msg']}" for each in error.errors()]
        raise ValueError(f"{value['name']}: {'; '.join(wrong)}") from error


AnyQuantizer = Annotated[SerializeAsAny[QuantizerConfig], BeforeValidator(_quantizer_config)]


class VibeTokenConfig(Frozen):
    """Options of `VibeToken`; the defaults are the published Small-Small with dynamic grid and adaptive patches."""

    encoder: SizeName | TransformerConfig = "small"
    decoder: SizeName | TransformerConfig = "small"
    num_latent_tokens: PositiveInt = 256
    length_scheme: LengthScheme = added("native")
    latent_width: PositiveInt = 256
    num_codebooks: PositiveInt = 8
    codebook_size: PositiveInt = 4096
    codebook_init: CodebookInit = "uniform"
    revive_after: PositiveInt | None = None
    quantizer_warmup: NonNegativeInt = 0
    """Training steps at first whose latents pass unquantised, whatever the quantizer."""
    quantizer: AnyQuantizer | None = added(None)
    """Another quantizer and its options; null: multi-codebook vector quantisation by the four options above, which
    another one does not look at. Plain VQ is one codebook."""
    weight_init: WeightInit = "trunc_normal"
    pos_embed: PosEmbed = "grid"
    pos_grid_size: PositiveInt = 32
    pos_grid_sampling: Sampling = "resize"
    rope_base: PositiveFloat = 100.0
    rope_fastest: PositiveFloat = 1.0
    """Highest rotary frequency in radians a patch; the slowest is about this over `rope_base`."""
    init_std: PositiveFloat | None = None
    """Standard deviation of initial positions, latents and mask token; null means width ** -0.5."""
    patch_embed: Literal["fixed", "bilinear", "pinv"] = "bilinear"
    patch_size: PositiveInt = 16
    """Patch of the fixed embedding, in pixels."""
    kernel_size: PositiveInt = 32
    """Base kernel of the adaptive embedding, and side of the pixels that one decoder token becomes."""
    patch_sizes: tuple[PositiveInt, ...] = (8, 12, 16, 32)
    min_patches: PositiveInt = 256
    max_patches: PositiveInt = 1024
    inference_patch_share: float | None = Field(default=None, ge=0, le=1)
    """Share of training steps at the patch that inference would take; null draws all that are allowed alike."""
    decoder_output: Literal["blur", "resize", "patch"] = added("blur")
    """What an adaptive model's decoder makes of its tokens: a canvas of `kernel_size` pixels a token, brought to the
    size by the learned blur or by a plain antialiased resize; or `patch_size` pixels of the image each, on the lattice
    that this gives."""
    blur_init: BlurInit = "delta"
    blur_kernel_size: PositiveInt = 9
    official: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> VibeTokenConfig:
        if self.quantizer is not None:
            self.quantizer.check(self.latent_width)
        elif self.latent_width % self.num_codebooks:
            raise ValueError(f"latent_width {self.latent_width} is no multiple of num_codebooks {self.num_codebooks}")
        if self.patch_embed == "fixed" and self.decoder_output != "blur":
            raise ValueError(
                f"decoder_output {self.decoder_output} needs an adaptive patch_embed: with a fixed one each token"
                " decodes to its own patch"
            )
        if self.blur_kernel_size % 2 == 0:
            raise ValueError(f"blur_kernel_size must be odd, got {self.blur_kernel_size}")
        if self.patch_embed != "fixed" and self.kernel_size < self.blur_kernel_size - 2:
            raise ValueError(
                f"kernel_size {self.kernel_size} is too small for blur_kernel_size {self.blur_kernel_size}:"
                f" it must be at least {self.blur_kernel_size - 2}"
            )
        if list(self.patch_sizes) != sorted(set(self.patch_sizes)):
            raise ValueError(f"patch_sizes must ascend, got {list(self.patch_sizes)}")
        if self.min_patches > self.max_patches:
            raise ValueError(f"min_patches {self.min_patches} is above max_patches {self.max_patches}")
        for part, size in (("encoder", self.encoder), ("decoder", self.decoder)):
            transformer = SIZES[size] if isinstance(size, str) else size
            unit = 4 * transformer.num_heads if self.pos_embed.startswith("rope") else transformer.num_heads
            if transformer.width % unit:
                raise ValueError(f"the {part}'s width {transformer.width} must be a multiple of {unit}")
        return self


def build_quantizer(config: VibeTokenConfig) -> Quantizer:
    """Return the quantizer that a tokenizer's options describe."""
    if config.quantizer is not None:
        quantizer: Quantizer = QUANTIZERS.load(config.quantizer.name)(
            config.quantizer, config.latent_width, warmup_steps=config.quantizer_warmup
        )
        return quantizer
    return MultiCodebookQuantizer(
        config.latent_width,
        config.num_codebooks,
        config.codebook_size,
        init=config.codebook_init,
        revive_after=config.revive_after,
        warmup_steps=config.quantizer_warmup,
    )


class VibeToken(Tokenizer):
    """The tokenizer; see the module for what it is and where it deviates."""

    Config: ClassVar[type[Frozen]] = VibeTokenConfig
    max_num_tokens: int

    def __init__(self, config: VibeTokenConfig) -> None:
        super().__init__()
        self.config = config
        self.max_num_tokens = config.num_latent_tokens
        self.lengths_per_sample = config.length_scheme == "nested"
        self.adaptive = config.patch_embed != "fixed"
        self.decodes_patches = not self.adaptive or config.decoder_output == "patch"
        self.rule = PatchRule(
            sizes=config.patch_sizes,
            min_patches=config.min_patches,
            max_patches=config.max_patches,
            floor=config.official,
            inference_share=config.inference_patch_share,
        )
        encoder, decoder = (SIZES[s] if isinstance(s, str) else s for s in (config.encoder, config.decoder))
        positions = PositionsConfig(
            kind=config.pos_embed,
            grid_size=config.pos_grid_size,
            grid_sampling=config.pos_grid_sampling,
            rope_base=config.rope_base,
            rope_fastest=config.rope_fastest,
            init_std=config.init_std,
        )
        patch_embed: FixedPatchEmbed | AdaptivePatchEmbed
        if config.patch_embed == "fixed":
            patch_embed = FixedPatchEmbed(encoder.width, config.patch_size)
        else:
            patch_embed = AdaptivePatchEmbed(
                encoder.width,
                config.kernel_size,
                config.patch_embed,
                config.weight_init,
                reference_size=min(config.patch_sizes),
            )
        length, width = config.num_latent_tokens, config.latent_width
        self.encoder = LatentEncoder(encoder, patch_embed, positions, length, width, config.weight_init)
        self.quantizer = build_quantizer(config)
        self.codebook_sizes = self.quantizer.codebook_sizes
        self.decoder = MaskTokenDecoder(
            decoder,
            positions,
            length,
            width,
            pixels=config.patch_size if self.decodes_patches else config.kernel_size,
            blur=self._to_size(config),
            weight_init=config.weight_init,
            fill_up=config.length_scheme == "nested",
        )
        for module in self.modules():
            if isinstance(module, Attention):
                # Rotations that are learned need an attention of its own making, whose linear layers a hook sees.
                module.counts_as_multihead_attention = config.pos_embed != "rope_learnable"

    def _length(self, num_tokens: int | None) -> int:
        """Return how many latents a request for `num_tokens` makes."""
        if num_tokens is None:
            return self.max_num_tokens
        length = min(num_tokens + 1, self.max_num_tokens) if self.config.official else num_tokens
        if not 1 <= length <= self.max_num_tokens:
            raise ResolutionError(f"{num_tokens} latent tokens asked for; this model has 1 to {self.max_num_tokens}")
        return length

    def _to_size(self, config: VibeTokenConfig) -> ResizableBlur | PlainResize | None:
        """Return what takes the decoder's canvas to the image's size; None where the canvas is the image."""
        if self.decodes_patches:
            return None
        if config.decoder_output == "resize":
            return PlainResize()
        return ResizableBlur(config.blur_kernel_size, config.blur_init)

    def _encoder_patch(self, size: Size, asked: Size | None) -> Size:
        """Return the patch that cuts an image of `size`, checked."""
        return self._adaptive_patch(size, asked) if self.adaptive else self._fixed_patch(size, asked)

    def _decoder_patch(self, size: Size, asked: Size | None) -> Size:
        """Return the patch whose lattice decodes to an image of `size`, checked."""
        return self._fixed_patch(size, asked) if self.decodes_patches else self._adaptive_patch(size, asked)

    def _fixed_patch(self, size: Size, asked: Size | None) -> Size:
        side = self.config.patch_size
        if size[0] % side or size[1] % side:
            raise ResolutionError(
                f"patches of {side} pixels do not tile {size[0]}x{size[1]};"
                f" the nearest size that they do is {nearest_tiling(size, side)}"
            )
        if asked is not None and asked != (side, side):
            raise ResolutionError(f"a patch of {asked[0]}x{asked[1]} asked for; this model's is fixed at {side}")
        return (side, side)

    def _adaptive_patch(self, size: Size, asked: Size | None) -> Size:
        if asked is None:
            side = self.rule.choose(*size)
            return (side, side)
        if not self.config.official and (size[0] % asked[0] or size[1] % asked[1]):
            raise ResolutionError(
                f"patches of {asked[0]}x{asked[1]} pixels do not tile {size[0]}x{size[1]};"
                f" a near size that they do is {nearest_tiling(size, math.lcm(*asked))}"
            )
        return asked

    def check(self, size: Size, num_tokens: int | None = None) -> None:
        """Raise a `ResolutionError` if images of `size` or this number of tokens cannot be handled."""
        self._length(num_tokens)
        patches = {self._encoder_patch(size, None), self._decoder_patch(size, None)}
        for patch in patches if self.config.pos_embed == "learned" else ():
            side = max(size[0] // patch[0], size[1] // patch[1])
            if side > self.config.pos_grid_size:
                raise ResolutionError(
                    f"learned positions reach {self.config.pos_grid_size} patches a side; {size[0]}x{size[1]} in"
                    f" patches of {patch[0]} pixels has {side}. Raise tokenizer.pos_grid_size."
                )

    def draw_geometry(
        self, rng: np.random.Generator, input_size: Size, target_size: Size, num_tokens: int | None
    ) -> Geometry:
        """Draw encoder and decoder patches, each for its own size, by the rule for training."""
        if not self.adaptive:
            return Geometry(num_tokens=num_tokens)
        if self.config.official:
            encoder = official_encoder_patch(rng, *input_size, self.config.kernel_size)
        else:
            encoder = self.rule.draw(rng, *input_size)
        drawn = Geometry(num_tokens=num_tokens, encoder_patch=(encoder, encoder))
        if self.decodes_patches:
            return drawn
        decoder = self.rule.draw(rng, *target_size)
        return replace(drawn, decoder_patch=(decoder, decoder))

    def encode(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return `geometry.num_tokens` latents (all by default), before quantisation."""
        return self.encode_uncut(images, geometry)[:, : self._length(geometry.num_tokens)]

    def encode_uncut(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return as many latents as the encoder makes: the geometry's number in scheme `native`, else all."""
        patch = self._encoder_patch((images.shape[2], images.shape[3]), geometry.encoder_patch)
        length = self._length(geometry.num_tokens)
        return self.encoder(images, patch, length if self.config.length_scheme == "native" else self.max_num_tokens)

    def quantize(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Return the quantised latents, codes and loss."""
        return self.quantizer(latents)

    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the quantised latents that codes stand for."""
        return self.quantizer.lookup(indices)

    def decode(
        self, z_q: Float[Tensor, "batch tokens channels"], size: Size, geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size`, not clamped; a larger size than the encoder saw is super-resolution."""
        patch = self._decoder_patch(size, geometry.decoder_patch)
        lattice = (size[0] // patch[0], size[1] // patch[1])
        assert geometry.lengths is None or self.lengths_per_sample
        if self.config.length_scheme != "native":
            z_q = z_q[:, : self._length(geometry.num_tokens)]
        return self.decoder(z_q, lattice, size, geometry.lengths)
