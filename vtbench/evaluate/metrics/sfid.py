"""sFID (Nash et al. 2021, arXiv:2103.03841): a Frechet distance over features that keep their place in the image.

The first 7 channels of Inception-v3's 17x17 maps (`mixed_6`), 2,023 numbers, as in ADM's evaluator. It shows misplaced
parts, which pooled features forgive. ADM gives 3.692 for ImageNet's validation images against its training statistics.
"""

from __future__ import annotations

from vtbench.evaluate.metrics.frechet import FrechetDistance


class Sfid(FrechetDistance):
    """Frechet distance over Inception-v3's spatial features."""

    of_generations = True
    name = "sfid"
    title = "sFID"
    network = "inception"
    layer = "spatial"
    source = "Nash et al. 2021, appendix; first 7 channels of mixed_6, 17x17; as ADM's evaluator"
