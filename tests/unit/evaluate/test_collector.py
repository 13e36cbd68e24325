"""Rows of batches of any size are those of all images at once."""

import numpy as np
import pytest
import torch

from vtbench.errors import DataError
from vtbench.evaluate import collector
from vtbench.evaluate.collector import Collector
from vtbench.evaluate.metric import CODES, LABELS, LATENTS, Batch, features
from vtbench.evaluate.metrics.mae import Mae
from vtbench.evaluate.metrics.psnr import Psnr

CPU = torch.device("cpu")


class _Watched(Psnr):
    """Remembers how many images it was shown at once."""

    def __init__(self):
        self.shown = []

    def rows(self, batch):
        self.shown.append(len(batch.indices))
        return super().rows(batch)


def _images(num=20):
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, num, 3, 16, 16), dtype=torch.uint8, generator=draw)


def _collect(metrics, quantities, sizes, **fields):
    owners = {quantity.key: metric for metric in metrics for quantity in metric.quantities()}
    found = Collector(quantities, owners, CPU)
    reference, produced = _images()
    start = 0
    for size in sizes:
        part = slice(start, start + size)
        more = {name: rows[part] for name, rows in fields.items()}
        indices = list(range(20)[part])
        found.add(Batch(reference[part], produced[part], **{"codes": None, "labels": None, **more}, indices=indices))
        start += size
    return found.finish()


def test_batches_do_not_show(tiny):
    metrics = [Psnr(), Mae()]
    quantities = [quantity for metric in metrics for quantity in metric.quantities()] + [features("tiny")]
    one, many = (_collect(metrics, quantities, sizes) for sizes in ([20], [3, 5, 1, 11]))
    reference, produced = _images()
    assert np.array_equal(one["psnr"], Psnr().measure(reference, produced).numpy())
    assert set(one) == {"psnr", "mae", "features/tiny/pooled/produced"}
    assert all(np.array_equal(one[key], many[key]) for key in one)


def test_metrics_are_shown_many_images_at_once(monkeypatch):
    monkeypatch.setattr(collector, "METRIC_PIXELS", 8 * 16 * 16)
    metric = _Watched()
    _collect([metric], metric.quantities(), [2] * 10)
    assert metric.shown == [8, 8, 4]


def test_codes_latents_and_labels_come_with_the_batches():
    codes = torch.arange(120).reshape(20, 2, 3)
    rows = _collect(
        [],
        [CODES, LATENTS, LABELS],
        [16, 4],
        codes=codes,
        latents=codes.transpose(1, 2).double(),
        labels=torch.arange(20),
    )
    assert rows["codes"].dtype == np.int32
    assert np.array_equal(rows["codes"], codes)
    assert rows["latents"].shape == (20, 3, 2)
    assert rows["latents"].dtype == np.float32
    assert rows["labels"].tolist() == list(range(20))


@pytest.mark.parametrize("quantity", [CODES, LABELS])
def test_what_the_images_lack_is_an_error(quantity):
    with pytest.raises(DataError, match=quantity.key):
        _collect([], [quantity], [20])


def test_it_says_what_it_needs():
    def needs(*quantities):
        found = Collector(quantities, {}, CPU)
        return found.wants_codes, found.wants_latents

    assert needs(CODES) == (True, False)
    assert needs(LATENTS) == (True, True)
    assert needs(LABELS) == (False, False)
