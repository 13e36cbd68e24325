"""A mean over images depends neither on their order nor on the batches."""

import pytest
import torch

from vtbench.errors import DataError
from vtbench.evaluate.metrics.mae import Mae
from vtbench.evaluate.metrics.psnr import Psnr
from vtbench.evaluate.metrics.ssim import Ssim


@pytest.mark.parametrize("metric", [Psnr, Ssim, Mae])
def test_order_and_batches_do_not_show(metric):
    reference, produced = torch.randint(0, 256, (2, 13, 3, 16, 16), dtype=torch.uint8)
    order = torch.randperm(13)
    whole, parts = metric(), metric()
    whole.update(reference, produced)
    for batch in order.split(4):
        parts.update(reference[batch], produced[batch])
    assert whole.compute() == parts.compute()


def test_no_images_is_an_error():
    with pytest.raises(DataError, match="PSNR"):
        Psnr().compute()
