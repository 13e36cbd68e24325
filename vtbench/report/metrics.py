"""How metrics are shown: titles, units, directions, smallest sample sizes.

The metrics' own classes hold the same facts, but they import torch, which reading results never needs. A metric that is
not listed here is shown under its id.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MetricDisplay:
    """How one metric is shown.

    Attributes:
        title: display name without the unit.
        unit: unit after scaling, or empty.
        lower_is_better: direction; None where neither is better.
        min_samples: fewest images for which the value means something.
        scale: stored values are divided by it.
        is_distance: whether it is a distance between sets of images, which a small sample biases upward.
    """

    title: str
    unit: str = ""
    lower_is_better: bool | None = None
    min_samples: int = 1
    scale: float = 1.0
    is_distance: bool = False

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def heading(self) -> str:
        """Title, unit and an arrow that says which way is better."""
        arrow = {True: " ↓", False: " ↑", None: ""}[self.lower_is_better]
        return self.label + arrow


NUM_PARAMETERS, GFLOPS, SECONDS = "num_parameters", "gflops", "seconds_per_image"
CLASS_ACCURACY, MEMORISATION = "class_accuracy", "memorisation"
REAL = "_real"
"""Ends the name of a value that validation images got in the place of samples."""
PSNR, PSNR_MEAN_IMAGE, PSNR_GAIN = "psnr", "psnr_mean_image", "psnr_gain"

_DISPLAYS = {
    NUM_PARAMETERS: MetricDisplay("Parameters", "M", scale=1e6),
    GFLOPS: MetricDisplay("GFLOPs (full)", lower_is_better=True),
    "gflops_as_published": MetricDisplay("GFLOPs (as published)", lower_is_better=True),
    "gflops_sampling": MetricDisplay("GFLOPs of the tokens", lower_is_better=True),
    "gflops_decoder": MetricDisplay("GFLOPs of the decoder", lower_is_better=True),
    "rfid": MetricDisplay("rFID", lower_is_better=True, min_samples=2048, is_distance=True),
    "rfd_effnet": MetricDisplay("rFD (EfficientNet-Lite0)", lower_is_better=True, min_samples=2048, is_distance=True),
    "rfd_dinov2": MetricDisplay("rFD (DINOv2 ViT-L/14)", lower_is_better=True, min_samples=2048, is_distance=True),
    "gfd_effnet": MetricDisplay("gFD (EfficientNet-Lite0)", lower_is_better=True, min_samples=2048, is_distance=True),
    "gfid": MetricDisplay("gFID", lower_is_better=True, min_samples=2048, is_distance=True),
    "sfid": MetricDisplay("sFID", lower_is_better=True, min_samples=2048, is_distance=True),
    "fid_infinity": MetricDisplay("FID-infinity", lower_is_better=True, min_samples=20_480),
    "fd_infinity_effnet": MetricDisplay("FD-infinity (EfficientNet-Lite0)", lower_is_better=True, min_samples=12_800),
    "pfid": MetricDisplay("pFID", lower_is_better=True, min_samples=2048, is_distance=True),
    "pfd_effnet": MetricDisplay("pFD (EfficientNet-Lite0)", lower_is_better=True, min_samples=2048, is_distance=True),
    "rkid": MetricDisplay("rKID", lower_is_better=True, min_samples=1000),
    "rkid_effnet": MetricDisplay("rKD (EfficientNet-Lite0)", lower_is_better=True, min_samples=1000),
    "inception_score": MetricDisplay("IS", lower_is_better=False, min_samples=5000),
    "inception_score_unsplit": MetricDisplay("IS (no splits)", lower_is_better=False, min_samples=5000),
    "precision": MetricDisplay("Precision", lower_is_better=False, min_samples=10_000),
    "recall": MetricDisplay("Recall", lower_is_better=False, min_samples=10_000),
    "precision_effnet": MetricDisplay("Precision (EfficientNet-Lite0)", lower_is_better=False, min_samples=10_000),
    "recall_effnet": MetricDisplay("Recall (EfficientNet-Lite0)", lower_is_better=False, min_samples=10_000),
    "classifier_top1": MetricDisplay("Top-1 (EfficientNet-Lite0)", lower_is_better=False, min_samples=1000),
    "classifier_top1_fitted": MetricDisplay("Top-1 (fitted to references)", lower_is_better=False, min_samples=1000),
    CLASS_ACCURACY: MetricDisplay("Class accuracy", lower_is_better=False, min_samples=200),
    MEMORISATION: MetricDisplay("Nearer to training than unseen images", min_samples=200),
    "linear_probe": MetricDisplay("Linear probe (tokens)", lower_is_better=False, min_samples=1000),
    PSNR: MetricDisplay("PSNR", "dB", lower_is_better=False),
    PSNR_GAIN: MetricDisplay("PSNR gain over the mean image", "dB", lower_is_better=False),
    PSNR_MEAN_IMAGE: MetricDisplay("PSNR of the mean image", "dB", lower_is_better=False),
    "ssim": MetricDisplay("SSIM", lower_is_better=False),
    "mae": MetricDisplay("MAE", "pixels in [0, 1]", lower_is_better=True),
    "mse": MetricDisplay("MSE", "squared pixels in [0, 1]", lower_is_better=True),
    "ms_ssim": MetricDisplay("MS-SSIM", lower_is_better=False),
    "lpips": MetricDisplay("LPIPS (VGG16)", lower_is_better=True),
    "dreamsim": MetricDisplay("DreamSim (DINO ViT-B/16)", lower_is_better=True),
    "psnr_detail": MetricDisplay("PSNR (detail)", "dB", lower_is_better=False),
    "mae_detail": MetricDisplay("MAE (detail)", "pixels in [0, 1]", lower_is_better=True),
    "text_character_error": MetricDisplay("Character error (OCR)", lower_is_better=True, min_samples=100),
    "text_word_error": MetricDisplay("Word error (OCR)", lower_is_better=True, min_samples=100),
    "bits_per_pixel": MetricDisplay("Rate", "bits/pixel", lower_is_better=True),
    "jpeg_bits_per_pixel": MetricDisplay("JPEG-equivalent rate", "bits/pixel", lower_is_better=False),
    "codebook_usage": MetricDisplay("Codebook usage", lower_is_better=False, min_samples=2048),
    "codebook_entropy": MetricDisplay("Codebook entropy", "bits", lower_is_better=False, min_samples=2048),
    "codebook_perplexity": MetricDisplay("Codebook perplexity", lower_is_better=False, min_samples=2048),
    "codebook_zipf_slope": MetricDisplay("Zipf slope", lower_is_better=False, min_samples=2048),
    "images_per_second_encode": MetricDisplay("Encode", "images/s", lower_is_better=False),
    "images_per_second_decode": MetricDisplay("Decode", "images/s", lower_is_better=False),
    SECONDS: MetricDisplay("Image", "ms", lower_is_better=True, scale=1e-3),
    "seconds_per_image_sampling": MetricDisplay("Its tokens", "ms", lower_is_better=True, scale=1e-3),
    "seconds_per_image_decoder": MetricDisplay("Its decoding", "ms", lower_is_better=True, scale=1e-3),
    "peak_memory_bytes": MetricDisplay("Peak memory", "MiB", lower_is_better=True, scale=2**20),
}

ORDER = tuple(_DISPLAYS)
"""Order of columns; metrics that are not listed come before the costs of `COST`, by name."""

COST = (
    "images_per_second_encode",
    "images_per_second_decode",
    SECONDS,
    "seconds_per_image_sampling",
    "seconds_per_image_decoder",
    "peak_memory_bytes",
)

ENOUGH_FOR_DISTANCES = 10_000
"""Images below which a distance between sets is reported with a warning."""

NOT_COMPARED = frozenset({*COST, GFLOPS, "gflops_sampling", "gflops_decoder", NUM_PARAMETERS, PSNR_MEAN_IMAGE})
"""Counted, taken with a clock, or the same for all arms: no test of seeds and images says what they differ in."""


def display(metric: str) -> MetricDisplay:
    """Return how to show a metric; an unknown one is shown under its id, without unit or direction."""
    return _DISPLAYS.get(metric, MetricDisplay(metric))


def in_order(metrics: set[str]) -> list[str]:
    """Return metrics in the order of their columns."""

    def place(metric: str) -> tuple[int, int, str]:
        listed = metric in _DISPLAYS
        return (2 if metric in COST else 0 if listed else 1, ORDER.index(metric) if listed else 0, metric)

    return sorted(metrics, key=place)


def number(value: float) -> str:
    """Return a number with the digits worth reading for its size, thousands separated and a minus as long as a plus."""
    return f"{value:,.{decimals(value)}f}".replace("-", "−")


def decimals(value: float) -> int:
    """Return how many decimals `number` shows."""
    size = abs(value)
    if size >= 1000:
        return 0
    if size >= 100:
        return 1
    return 2 if size >= 1 or size == 0 else 3 if size >= 0.1 else 4
