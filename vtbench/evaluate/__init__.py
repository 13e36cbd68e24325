"""Metrics of reconstructions; one row each."""

from vtbench.registry import Registry

METRICS = Registry(
    "metric",
    {
        "rfd_effnet": "vtbench.evaluate.metrics.frechet:RfdEffnet",
        "rfid": "vtbench.evaluate.metrics.frechet:Rfid",
        "psnr": "vtbench.evaluate.metrics.psnr:Psnr",
        "ssim": "vtbench.evaluate.metrics.ssim:Ssim",
        "mae": "vtbench.evaluate.metrics.mae:Mae",
    },
)
