"""The mean training image, its cache, and the PSNR that it reaches."""

import numpy as np
import pytest
import torch

from vtbench.data.dataset import ImageDataset
from vtbench.evaluate.mean_image import MeanImagePsnr, mean_image
from vtbench.evaluate.metric import Batch, Measured


class _Flat(ImageDataset):
    """Images of one grey value each."""

    def __init__(self, values, content_key="flat"):
        self.values = torch.tensor(values, dtype=torch.uint8)
        self.labels = np.zeros(len(values), dtype=np.int64)
        self.content_key = content_key
        self.asked = 0

    def images(self, indices, size):
        self.asked += len(indices)
        return self.values[torch.as_tensor(indices)][:, None, None, None].expand(-1, 3, *size)

    def training_pair(self, indices, input_size, target_size, rng, flip):
        raise NotImplementedError


def test_mean_is_rounded_and_kept(tmp_path):
    dataset = _Flat([0, 1, 255, 255] * 20)  # 127.75
    mean = mean_image(dataset, (4, 6), tmp_path)
    assert mean.shape == (3, 4, 6)
    assert mean.unique().tolist() == [128]
    assert dataset.asked == 80
    assert torch.equal(mean_image(dataset, (4, 6), tmp_path), mean)
    assert dataset.asked == 80
    mean_image(dataset, (4, 4), tmp_path)
    assert dataset.asked == 160


def test_other_images_have_another_mean(tmp_path):
    assert mean_image(_Flat([10, 20], "one"), (2, 2), tmp_path).unique().tolist() == [15]
    assert mean_image(_Flat([30, 40], "two"), (2, 2), tmp_path).unique().tolist() == [35]


def test_psnr_does_not_look_at_what_was_produced(tmp_path):
    metric = MeanImagePsnr(_Flat([10, 20]), (4, 4), tmp_path)
    reference = torch.full((2, 3, 4, 4), 16, dtype=torch.uint8)
    for produced in (reference, reference + 50):
        batch = Batch(reference, produced, None, None, [0, 1])
        rows = {key: values.numpy() for key, values in metric.rows(batch).items()}
        assert metric.compute(Measured(rows)).value == pytest.approx(48.1308, abs=1e-4)  # off by one everywhere


def test_rows_are_those_of_these_training_images(tmp_path):
    one, two = (MeanImagePsnr(_Flat([10, 20], name), (4, 4), tmp_path).quantities() for name in ("one", "two"))
    assert one != two


def test_nothing_is_drawn_before_it_is_needed(tmp_path):
    dataset = _Flat([10, 20])
    MeanImagePsnr(dataset, (4, 4), tmp_path).quantities()
    assert dataset.asked == 0
