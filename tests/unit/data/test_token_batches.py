import numpy as np
import pytest
import torch

from vtbench import distributed
from vtbench.data.token_batches import TokenBatches
from vtbench.schema.run import TrainConfig


@pytest.fixture
def codes():
    """Codes that say where they are: image, resolution, view, codebook, token."""
    shape = (5, 2, 3, 2, 2)
    return np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"))


@pytest.fixture
def make(codes):
    def make(seed=0, batch_size=4, part=0, **train):
        config = TrainConfig(steps=4, batch_size=batch_size, **train)
        return TokenBatches(codes[part].astype(np.uint8), np.arange(5) + 10, ("16x16", "16x32"), config, seed)

    return make


def test_a_batch_has_one_view_of_each_image_at_one_resolution_and_says_at_which(make):
    images, resolutions, views = (make(part=part).batch(2) for part in range(3))
    assert images.codes.shape == (4, 2, 2)
    assert images.codes.dtype == torch.int64
    assert (images.codes == images.codes[:, :1, :1]).all()
    assert torch.equal(images.codes[:, 0, 0] + 10, images.labels)
    assert torch.equal(resolutions.widths, 16.0 * (1 + resolutions.codes[:, 0, 0]))
    assert set(resolutions.heights.tolist()) == {16.0}
    seen = torch.cat([make(part=2).batch(step).codes[:, 0, 0] for step in range(20)])
    assert set(seen.tolist()) == {0, 1, 2}
    assert views.num_images == 4


def test_a_batch_is_a_function_of_seed_and_step(make):
    later = list(make().iterate(2, 4))
    assert all(torch.equal(a.codes, b.codes) for a, b in zip(later, list(make().iterate(0, 4))[2:], strict=True))
    assert not torch.equal(make(part=2).batch(2).codes, make(seed=1, part=2).batch(2).codes)


def test_parts_and_processes_make_up_the_batch(make, monkeypatch):
    whole = make().batch(1)
    parts = whole.to(torch.device("cpu")).split(2)
    assert torch.equal(torch.cat([part.codes for part in parts]), whole.codes)
    assert [part.places.tolist() for part in parts] == [[0, 1], [2, 3]]
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    found = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        found.append(make().batch(1))
    for name in ("codes", "labels", "heights", "widths", "places"):
        assert torch.equal(torch.cat([getattr(each, name) for each in found]), getattr(whole, name)), name
