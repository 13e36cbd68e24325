"""LPIPS (Zhang et al. 2018, arXiv:1801.03924): VGG16 features weighted per channel by human judgement, version 0.1.

torch-fidelity ships the same network, but fetches its two files when it is made; this one reads them from the weights
folder: torchvision's VGG16 and the linear layers in torch-fidelity's packaging of the authors' file. Images are
compared at 224 x 224, as VibeToken's code does; `size=None` compares them at their own size, as the authors do.
The epsilon of the unit vectors stands inside the root, not beside it.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import vgg16

from vtbench.errors import WeightsError
from vtbench.features import weights
from vtbench.models.losses.perceptual import PerceptualLoss, imagenet_normalise, resize, unit_channels

_VGG_FILE = "vgg16-397923af.pth"
_LINEAR_FILE = "weights-vgg16-lpips.pth"
_LAST_LAYERS = (3, 8, 15, 22, 29)
"""The rectifications before each pooling, and the last one: relu1_2, relu2_2, relu3_3, relu4_3, relu5_3."""


class LpipsLoss(PerceptualLoss):
    """Sum over five stages of the weighted squared distance between unit feature vectors.

    Args:
        size: side in pixels that images are resized to; None leaves them alone.

    Raises:
        WeightsError: a file is missing.
    """

    def __init__(self, size: int | None = 224) -> None:
        super().__init__()
        vgg_path, linear_path = self.weights_paths()
        self.size = size
        with torch.device("meta"):
            self.features = vgg16(weights=None).features
        self.features.load_state_dict(
            {
                key.removeprefix("features."): value
                for key, value in torch.load(vgg_path, map_location="cpu", weights_only=True).items()
                if key.startswith("features.")
            },
            assign=True,
        )
        for layer in self.features:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # the features taken must not be overwritten by the next layer
        linear = torch.load(linear_path, map_location="cpu", weights_only=True)
        names = [f"lin{i}.model.1.weight" for i in range(len(_LAST_LAYERS))]
        if set(linear) != set(names):
            raise WeightsError(f"{linear_path} does not hold LPIPS's channel weights: expected {', '.join(names)}.")
        self.linear = nn.ParameterList(linear[name].flatten() for name in names)
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def weights_paths(cls) -> tuple[Path, Path]:
        """Return the files of VGG16 and of the linear layers; raise a `WeightsError` if one is missing."""
        return (
            weights.require(
                _VGG_FILE, "VGG16 of the perceptual loss lpips", f"https://download.pytorch.org/models/{_VGG_FILE}"
            ),
            weights.require(
                _LINEAR_FILE,
                "channel weights of the perceptual loss lpips",
                f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{_LINEAR_FILE}",
            ),
        )

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if a file is missing."""
        cls.weights_paths()

    def forward(
        self, reconstruction: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        """Return the mean distance, at least 0."""
        with torch.no_grad():
            wanted = self._stages(targets)
        total = reconstruction.new_zeros((), dtype=torch.float32)
        for made, want, weight in zip(self._stages(reconstruction), wanted, self.linear, strict=True):
            total = total + torch.einsum("bchw,c->bhw", (made - want).square(), weight).mean()
        return total

    def _stages(self, images: Tensor) -> list[Tensor]:
        if self.size is not None:
            images = resize(images, (self.size, self.size))
        x = imagenet_normalise(images)
        stages = []
        for i, layer in enumerate(self.features[: _LAST_LAYERS[-1] + 1]):
            x = layer(x)
            if i in _LAST_LAYERS:
                stages.append(unit_channels(x))
        return stages
