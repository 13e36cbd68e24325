"""Frechet distance over DINOv2's class token (Stein et al. 2023, arXiv:2306.04675, who find it closest to people).

`vtbench.features.dinov2` is the network and says where its file is placed.
"""

from __future__ import annotations

from vtbench.evaluate.metrics.frechet import FrechetDistance


class RfdDinov2(FrechetDistance):
    """Frechet distance of reconstructions over DINOv2 ViT-L/14."""

    name = "rfd_dinov2"
    title = "rFD (DINOv2 ViT-L/14)"
    network = "dinov2"
    source = "Stein et al. 2023: Heusel et al. 2017, eq. 6, over 1024 features of DINOv2 ViT-L/14"
