"""Batches are a function of seed and step."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from vtbench.data.dataset import ImageDataset, Size, Split
from vtbench.data.icons import Icons
from vtbench.data.mixing import Batch, Batches, MixedBatch
from vtbench.errors import DataError
from vtbench.schema.base import Frozen
from vtbench.schema.run import MixingConfig


class Numbered(ImageDataset):
    """Ten images; a pixel holds its image's index, or a random crop's number."""

    class Config(Frozen):
        """No options."""

    def __init__(self, config: Config, split: Split, cache_dir: Path) -> None:
        self.labels = np.arange(10, dtype=np.int64) + 100
        self.label_names = ()
        self.content_key = ""

    def images(self, indices: object, size: Size) -> torch.Tensor:
        raise NotImplementedError

    def training_pair(
        self, indices: list[int], input_size: Size, target_size: Size, rng: np.random.Generator, flip: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = torch.zeros(len(indices), 3, *input_size, dtype=torch.uint8)
        targets = torch.zeros(len(indices), 3, *target_size, dtype=torch.uint8)
        for row, index in enumerate(indices):
            inputs[row] = index
            targets[row] = int(rng.integers(256))
        return inputs, targets


MIXING = MixingConfig(inputs={"4x4": 3.0, "4x8": 1.0}, targets={"8x8": 1.0, "8x4": 1.0})


def batches(batch_size: int = 4, seed: int = 0, mixing: MixingConfig = MIXING) -> Batches:
    return Batches(Numbered(Numbered.Config(), "train", Path()), mixing, batch_size, seed)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in vars(one))


def test_a_batch_is_a_function_of_seed_and_step() -> None:
    first = batches()
    in_order = [first.batch(step) for step in range(8)]
    second = batches()
    backwards = [second.batch(step) for step in reversed(range(8))][::-1]
    assert all(map(same, in_order, backwards))
    assert not all(map(same, in_order, [batches(seed=1).batch(step) for step in range(8)]))


def test_shapes_values_and_labels() -> None:
    batch = batches().batch(3)
    input_size, target_size = batches().sizes(3)
    assert batch.inputs.shape == (4, 3, *input_size)
    assert batch.targets.shape == (4, 3, *target_size)
    assert batch.inputs.dtype == batch.targets.dtype == torch.float32
    assert batch.labels.dtype == batch.indices.dtype == torch.int64
    assert torch.equal(batch.labels, batch.indices + 100)
    assert torch.equal(batch.inputs[:, 0, 0, 0], batch.indices / 255)
    assert batch.targets.max() <= 1
    assert len(batch.targets[:, 0, 0, 0].unique()) > 1


def test_no_image_twice_in_an_epoch_and_none_is_left_out() -> None:
    seen = [int(index) for step in range(10) for index in batches().batch(step).indices]
    epochs = [seen[first : first + 10] for first in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len(set(map(tuple, epochs))) == 4


def test_a_batch_larger_than_the_data_set_goes_through_it_twice() -> None:
    assert set(Counter(batches(batch_size=20).indices(1)).values()) == {2}


def test_sizes_follow_the_weights_and_are_independent() -> None:
    drawn = [batches().sizes(step) for step in range(2000)]
    share = sum(size == (4, 4) for size, _ in drawn) / 2000
    assert share == pytest.approx(0.75, abs=0.03)
    assert len(set(drawn)) == 4
    joint = sum(pair == ((4, 4), (8, 8)) for pair in drawn) / 2000
    assert joint == pytest.approx(0.375, abs=0.04)
    assert batches().all_sizes() == [(4, 4), (4, 8), (8, 4), (8, 8)]


def test_without_targets_the_size_is_the_inputs() -> None:
    mixing = MixingConfig(inputs={"4x4": 1.0, "8x8": 1.0})
    drawn = {batches(mixing=mixing).sizes(step) for step in range(30)}
    assert drawn == {((4, 4), (4, 4)), ((8, 8), (8, 8))}


def test_the_order_of_a_table_has_no_influence() -> None:
    """A run's id does not know it."""
    turned = MixingConfig(inputs={"4x8": 1.0, "4x4": 3.0}, targets={"8x4": 1.0, "8x8": 1.0})
    assert all(batches(mixing=turned).sizes(step) == batches().sizes(step) for step in range(50))


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_together_see_what_one_would(monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    whole = batches().batch(5)
    monkeypatch.setenv("WORLD_SIZE", str(world_size))
    shares = []
    for rank in range(world_size):
        monkeypatch.setenv("RANK", str(rank))
        shares.append(batches().batch(5))
    for name in vars(whole):
        assert torch.equal(torch.cat([getattr(share, name) for share in shares]), getattr(whole, name))


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(DataError, match=r"train\.batch_size is 4, which 3 processes cannot share"):
        batches()


@pytest.mark.parametrize("num_workers", [0, 2])
def test_iterating_gives_the_same_batches_and_leaves_torchs_generator(num_workers: int) -> None:
    state = torch.get_rng_state()
    found = list(batches().iterate(3, 9, num_workers))
    assert torch.equal(torch.get_rng_state(), state)
    assert len(found) == 6
    assert all(same(batch, batches().batch(step)) for step, batch in enumerate(found, start=3))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_a_users_error_keeps_its_message(monkeypatch: pytest.MonkeyPatch, num_workers: int) -> None:
    def fail(*_: object) -> None:
        raise DataError("a.jpg is broken")

    monkeypatch.setattr(Numbered, "training_pair", fail)
    with pytest.raises(DataError, match=r"^a\.jpg is broken$"):
        list(batches().iterate(0, 2, num_workers))


def test_real_icons(tmp_path: Path) -> None:
    dataset = Icons(Icons.Config(variants=False, val_fraction=0.02), "val", tmp_path)
    mixing = MixingConfig(inputs={"16x16": 1.0}, targets={"16x16": 1.0, "16x24": 1.0})
    found = list(Batches(dataset, mixing, batch_size=4, seed=0).iterate(0, 8))
    assert {tuple(batch.targets.shape[2:]) for batch in found} == {(16, 16), (16, 24)}
    assert all(0 <= batch.inputs.min() < batch.inputs.max() <= 1 for batch in found)


def test_a_batch_is_split_in_order():
    batch = Batch(
        inputs=torch.rand(4, 3, 2, 2),
        targets=torch.rand(4, 3, 2, 4),
        labels=torch.arange(4),
        indices=torch.arange(4, 8),
        places=torch.arange(4),
    )
    parts = batch.split(2)
    assert [part.indices.tolist() for part in parts] == [[4, 5], [6, 7]]
    assert torch.equal(torch.cat([part.targets for part in parts]), batch.targets)
    assert torch.equal(batch.to(torch.device("cpu")).inputs, batch.inputs)


SAMPLES = MIXING.model_copy(update={"per": "sample"})


def test_with_sizes_per_sample_each_image_has_the_sizes_of_its_place() -> None:
    whole = batches(8, mixing=SAMPLES)
    batch = whole.batch(3)
    assert isinstance(batch, MixedBatch)
    places = torch.cat([group.places for group in batch.groups])
    assert sorted(places.tolist()) == list(range(8))
    for group in batch.groups:
        for place, index in zip(group.places.tolist(), group.indices.tolist(), strict=True):
            assert (tuple(group.inputs.shape[2:]), tuple(group.targets.shape[2:])) == whole.sizes(3, place)
            assert index == whole.indices(3)[place]
    assert len({whole.sizes(3, place) for place in range(8)}) == len(batch.groups) > 1


def test_an_image_of_one_size_is_cropped_as_in_a_batch_of_one_size() -> None:
    one = MixingConfig(inputs={"4x4": 1.0}, targets={"8x8": 1.0})
    (group,) = batches(mixing=one.model_copy(update={"per": "sample"})).batch(2).groups
    assert same(group, batches(mixing=one).batch(2))


def test_sizes_per_sample_follow_the_weights_and_are_independent() -> None:
    drawn = [batches(mixing=SAMPLES).sizes(step, place) for step in range(500) for place in range(4)]
    joint = sum(pair == ((4, 4), (8, 8)) for pair in drawn) / 2000
    assert joint == pytest.approx(0.375, abs=0.04)


@pytest.mark.parametrize("world_size", [2, 4])
def test_processes_share_the_images_of_mixed_sizes(monkeypatch: pytest.MonkeyPatch, world_size: int) -> None:
    def images(batch: MixedBatch) -> dict[int, torch.Tensor]:
        return {int(p): image for group in batch.groups for p, image in zip(group.places, group.inputs, strict=True)}

    whole = images(batches(8, mixing=SAMPLES).batch(5))
    monkeypatch.setenv("WORLD_SIZE", str(world_size))
    seen: dict[int, torch.Tensor] = {}
    for rank in range(world_size):
        monkeypatch.setenv("RANK", str(rank))
        share = images(batches(8, mixing=SAMPLES).batch(5))
        assert len(share) == 8 // world_size
        seen |= share
    assert seen.keys() == whole.keys()
    assert all(torch.equal(seen[place], whole[place]) for place in whole)


def test_mixed_sizes_are_split_into_parts_of_one_size_no_larger_than_asked_for() -> None:
    batch = batches(20, mixing=SAMPLES).batch(0)
    parts = batch.to(torch.device("cpu")).split(4)
    assert max(part.num_images for part in parts) == 5
    assert sum(part.num_images for part in parts) == 20
    assert [int(p) for part in parts for p in part.places] == [int(p) for group in batch.groups for p in group.places]
    assert len(batch.split(1)) == len(batch.groups)
