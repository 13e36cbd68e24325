"""Frechet distance of images decoded from codes with errors in them: how well a decoder bears a generator's mistakes.

Qiu et al. 2025 (arXiv:2503.08354) find that it foretells the quality of generated images better than the distance of
clean reconstructions. A tenth of each image's codes is replaced at random before decoding. How, and where this differs
from the paper, says `vtbench.evaluate.perturbation`: values are not the paper's.
"""

from __future__ import annotations

from vtbench.evaluate.metrics.frechet import FrechetDistance

SHARE = 0.1


class Pfid(FrechetDistance):
    """Frechet Inception distance of reconstructions from perturbed codes."""

    name = "pfid"
    title = "pFID"
    network = "inception"
    perturb = SHARE
    source = "Qiu et al. 2025: rFID after a tenth of the codes is replaced uniformly at random; Inception-v3"


class PfdEffnet(FrechetDistance):
    """The same over EfficientNet-Lite0: needs no download, and is not an FID."""

    name = "pfd_effnet"
    title = "pFD (EfficientNet-Lite0)"
    network = "effnet_lite0"
    perturb = SHARE
    source = "Qiu et al. 2025: rFD after a tenth of the codes is replaced uniformly at random; EfficientNet-Lite0"
