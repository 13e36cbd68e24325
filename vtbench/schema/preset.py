"""Named protocols: ours, and those under which others publish.

A preset says how images are cropped, resized, brought to 8 bits and shown to a feature network, and what they are
compared with. Facts are those of the systems' public evaluation code.

Deviation: pytorch-fid feeds floats to its network; here an image is resized in float32 as pytorch-fid does and then
rounded, as every network here sees 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from vtbench.errors import StudyError, suggest
from vtbench.schema.base import Frozen
from vtbench.schema.protocol import Protocol, Scalar

Crop = Literal["adm", "shorter side", "centre only"]
Rounding = Literal["round", "half up", "truncate", "none"]

ADM, SHORTER_SIDE, CENTRE_ONLY = "adm", "shorter side", "centre only"
ROUND, HALF_UP, TRUNCATE, NO_ROUNDING = "round", "half up", "truncate", "none"
OWN_PREPROCESSING = "the network's own"
PLAIN_BILINEAR = "bilinear, half-pixel centres, no antialiasing; then 8 bits by rounding"
ZERO_TO_ONE, MINUS_ONE_TO_ONE = "[0, 1]", "[-1, 1]"


class Preset(Frozen):
    """A protocol's fields that do not depend on the images at hand.

    Attributes:
        name: id, for example `canonical`.
        title: whose it is.
        describes: one sentence.
        fields: value of each field of `Protocol` that the preset decides.
        features: fields with another value for metrics over a feature network.
        generation: fields with another value for sets of generated images.
        consequences: what is known to come of it.
        source: where it is written down.
    """

    name: str
    title: str
    describes: str
    fields: dict[str, Scalar]
    features: dict[str, Scalar] = Field(default_factory=dict)
    generation: dict[str, Scalar] = Field(default_factory=dict)
    consequences: tuple[str, ...] = ()
    source: str

    @model_validator(mode="after")
    def _fields_exist(self) -> Preset:
        for name in (*self.fields, *self.features, *self.generation):
            if name not in Protocol.model_fields:
                raise ValueError(f"'{name}' is no field of a protocol.{suggest(name, Protocol.model_fields)}")
        return self

    def of(self, *, over_features: bool) -> dict[str, Any]:
        """Return the fields for metrics over a feature network, or for those over pixels."""
        return {**self.fields, **self.features} if over_features else dict(self.fields)

    def changes(self, other: Preset) -> dict[str, tuple[Scalar, Scalar]]:
        """Return field -> (the other's, ours) where the two differ; `rounding (features)` is that of `features`."""
        theirs, ours = _rows(other), _rows(self)
        return {name: (theirs[name], ours[name]) for name in ours if theirs[name] != ours[name]}


def _rows(preset: Preset) -> dict[str, Scalar]:
    features = {**preset.fields, **preset.features}
    generation = {**preset.fields, **preset.generation}
    rows = dict(preset.fields)
    rows["rounding (features)"] = features["rounding"]
    rows["reference (generated images)"] = generation["reference"]
    return rows


def _fields(
    crop: Crop, resize_filter: str, antialias: bool, value_range: str, rounding: Rounding, preprocessing: str, ref: str
) -> dict[str, Scalar]:
    return {
        "crop": crop,
        "resize_filter": resize_filter,
        "antialias": antialias,
        "value_range": value_range,
        "rounding": rounding,
        "preprocessing": preprocessing,
        "reference": ref,
        "split_order": "as stored",
    }


_BOX = "box halvings, then bicubic"
_SAME = "validation images, same crop"
_TRAIN: dict[str, Scalar] = {"reference": "training statistics (ADM's mean and covariance), 50,000 samples"}
_LEVELS = (
    "(x + 1) / 2 * 255 cut off in float32 changes 63 of the 256 levels of an image that nothing was done to,"
    " each by one."
)

CANONICAL = Preset(
    name="canonical",
    title="vtbench",
    describes="ADM's crop, 8 bits by rounding, torch-fidelity's inception-v3-compat; what every number here means.",
    fields=_fields("adm", _BOX, True, ZERO_TO_ONE, "round", OWN_PREPROCESSING, _SAME),
    generation=_TRAIN,
    consequences=(
        "Real ImageNet validation images against ADM's training statistics give FID 1.684: no model has to be better.",
        "JPEG against PNG references moved one system's rFID from 1.5 to 2.2: keep references lossless.",
        "Inception Score with splits depends on the order: sorted by class it falls to about 57-60.",
    ),
    source="vtbench docs/protocols.md",
)

TITOK = Preset(
    name="titok",
    title="TiTok, One-D-Piece, VibeToken",
    describes="Bicubic antialiased resize of the shorter side, centre crop; torch-fidelity's Inception.",
    fields={
        **_fields("shorter side", "bicubic", True, ZERO_TO_ONE, "round", OWN_PREPROCESSING, _SAME),
        "split_order": "no splits",
    },
    generation=_TRAIN,
    consequences=(
        "Near to canonical: crop and filter differ by one resampling, and Inception Score has no splits.",
        "Shipped weights have missed their stated rFID by more than protocols explain (TiTok S-128: 3.91, not 1.71).",
    ),
    source="bytedance/1d-tokenizer, turingmotors/One-D-Piece: evaluator and data transform",
)

LLAMAGEN = Preset(
    name="llamagen",
    title="LlamaGen (ADM's evaluation suite)",
    describes="ADM's crop; 127.5 x + 128, cut off; ADM's TensorFlow Inception; an own file of validation images.",
    fields=_fields("adm", _BOX, True, MINUS_ONE_TO_ONE, "half up", OWN_PREPROCESSING, "own file of validation images"),
    generation={"reference": "ADM's training statistics; its 10,000 images for precision and recall only"},
    consequences=(
        "The same reconstructions give 4.28 against training statistics and 2.19 against its own validation file.",
        "127.5 x + 128 cut off is rounding with halves up: it differs from canonical only in ties.",
        "Its published SSIM assumes a data range of 2.0 and is inflated: it stands in no column with another SSIM.",
        "Its features come from ADM's TensorFlow graph; here from torch-fidelity's conversion of the same weights.",
        "Its 0.70 at 512 x 512 is the 512 reconstruction shrunk to 256: a mixed protocol.",
    ),
    source="FoundationVision/LlamaGen: tokenizer reconstruction scripts; openai/guided-diffusion evaluations",
)

SEED_VOKEN = Preset(
    name="seed_voken",
    title="SEED-Voken (Open-MAGVIT2, IBQ)",
    describes="Bilinear resize without antialiasing; floats for FID, 8 bits by cutting off for PSNR and SSIM.",
    fields=_fields("shorter side", "bilinear", False, MINUS_ONE_TO_ONE, "truncate", PLAIN_BILINEAR, _SAME),
    features={"rounding": NO_ROUNDING},
    generation=_TRAIN,
    consequences=(
        _LEVELS,
        "Without antialiasing a reduced image is sharper and aliased: the references are other pixels.",
        "pytorch-fid resizes with half-pixel centres, TensorFlow 1 without: the same weights see other pixels.",
        "Its SSIM is scikit-image's default: a uniform window of 7 x 7, not the Gaussian one.",
    ),
    source="TencentARC/SEED-Voken: evaluation_image.py and data transform; mseitzer/pytorch-fid",
)

UNITOK = Preset(
    name="unitok",
    title="UniTok",
    describes="A centre crop without any resize; torch-fidelity's Inception; a reference batch of images.",
    fields=_fields("centre only", "none", False, MINUS_ONE_TO_ONE, "round", OWN_PREPROCESSING, "reference batch"),
    generation={"reference": "reference batch"},
    consequences=(
        "Images of another size are cut, not shrunk: who does not resize them before measures other pictures.",
        "Its published rFID of 0.33 is of weights that are not released.",
    ),
    source="FoundationVision/UniTok: rFID evaluation",
)

ALIT = Preset(
    name="alit",
    title="ALIT, KARL",
    describes="No resize; 8 bits by cutting off; pytorch-fid on saved PNG files.",
    fields=_fields("centre only", "none", False, ZERO_TO_ONE, "truncate", PLAIN_BILINEAR, _SAME),
    generation={"reference": "none: no generator"},
    consequences=(
        "255 x cut off leaves an untouched 8-bit image as it is; reconstructions lose half a level on average.",
        "Images of another size are cut, not shrunk.",
        "pytorch-fid resizes with half-pixel centres, TensorFlow 1 without: the same weights see other pixels.",
    ),
    source="ShivamDuggal4/adaptive-length-tokenizer: evaluate_rfid.py; mseitzer/pytorch-fid",
)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset for preset in (CANONICAL, TITOK, LLAMAGEN, SEED_VOKEN, UNITOK, ALIT)
}


def find_preset(name: str) -> Preset:
    """Return the preset called `name`.

    Raises:
        StudyError: there is none; the message has the nearest name.
    """
    if name not in PRESETS:
        raise StudyError(f"No protocol is called '{name}'.{suggest(name, PRESETS)}")
    return PRESETS[name]
