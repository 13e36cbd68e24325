"""A mean over images depends neither on their order nor on the batches."""

import numpy as np
import pytest
import torch

from vtbench.errors import DataError
from vtbench.evaluate.metric import Batch, Measured
from vtbench.evaluate.metrics.mae import Mae
from vtbench.evaluate.metrics.psnr import Psnr
from vtbench.evaluate.metrics.ssim import Ssim


def _value(metric, reference, produced, batches):
    parts = [metric.rows(Batch(reference[part], produced[part], None, None, part)) for part in batches]
    rows = {key: np.concatenate([part[key].numpy() for part in parts]) for key in parts[0]}
    return metric.compute(Measured(rows)).value


@pytest.mark.parametrize("metric", [Psnr, Ssim, Mae])
def test_order_and_batches_do_not_show(metric):
    reference, produced = torch.randint(0, 256, (2, 13, 3, 16, 16), dtype=torch.uint8)
    parts = [part.tolist() for part in torch.randperm(13).split(4)]
    assert _value(metric(), reference, produced, [list(range(13))]) == _value(metric(), reference, produced, parts)


def test_one_row_an_image_under_the_metrics_name():
    (quantity,) = Psnr().quantities()
    assert (quantity.key, quantity.side, quantity.row_shape, quantity.dtype) == ("psnr", "pair", (), "float64")
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    rows = Psnr().rows(Batch(images, images, None, None, [0, 1, 2]))
    assert {key: tuple(values.shape) for key, values in rows.items()} == {"psnr": (3,)}


def test_no_images_is_an_error():
    with pytest.raises(DataError, match="PSNR"):
        Psnr().compute(Measured({"psnr": np.zeros(0)}))
