import numpy as np
import pytest
import torch

from vtbench.data.dataset import ImageDataset
from vtbench.schema.base import Frozen


class Flat(ImageDataset):
    """Three images of one colour each."""

    Config = Frozen
    label_names = ("only",)

    def __init__(self, config, split, cache_dir):
        self.content_key = split
        self.labels = np.zeros(3, dtype=np.int64)

    def images(self, indices, size):
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, *size)

    def training_pair(self, indices, input_size, target_size, rng, flip):
        return self.images(indices, input_size), self.images(indices, target_size)


def test_its_length_is_the_number_of_labels(tmp_path):
    assert len(Flat(Frozen(), "val", tmp_path)) == 3


def test_by_default_there_is_nothing_to_prepare_and_nobody_to_credit(tmp_path):
    dataset = Flat(Frozen(), "val", tmp_path)
    dataset.prepare([(4, 4)])
    assert dataset.credit is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["images", "training_pair", "__init__"])
def test_a_data_set_that_lacks_a_part_cannot_be_made(missing, tmp_path):
    parts = {name: value for name, value in vars(Flat).items() if name in ("images", "training_pair", "__init__")}
    kind = type("Partial", (ImageDataset,), {name: value for name, value in parts.items() if name != missing})
    with pytest.raises(TypeError, match=missing):
        kind(Frozen(), "val", tmp_path)
