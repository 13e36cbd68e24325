"""Features of reference images are taken once, whoever needs them, and never for other images."""

import threading

import numpy as np
import pytest
import torch

from vtbench.evaluate.metric import features
from vtbench.evaluate.reference_features import ReferenceFeatures, by_network, digest, feature_key

CPU = torch.device("cpu")


@pytest.fixture
def images():
    return torch.randint(0, 256, (20, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def pooled(tiny):
    return features("tiny", "pooled", "reference")


def test_digest_is_of_the_pixels(images):
    assert digest(images) == digest(images.clone())
    changed = images.clone()
    changed[3, 1, 4, 4] ^= 1
    others = [changed, images[:19], images.flip(0), images.reshape(20, 3, 9, 16), images.float()]
    assert len({digest(each) for each in [images, *others]}) == 6
    assert digest(images.transpose(2, 3)) == digest(images.transpose(2, 3).contiguous())


def test_features_are_taken_once_and_kept_a_layer_a_file(tiny, images, pooled, tmp_path):
    both = [pooled, features("tiny", "logits", "reference")]
    store = ReferenceFeatures(both, tmp_path, CPU)
    of = digest(images)
    assert store.missing(of)
    store.take(images, of)
    store.take(images, of)
    assert not store.missing(of)
    assert tiny.TinyNetwork.passes == [(16, ("logits", "pooled")), (4, ("logits", "pooled"))]
    network = tiny.TinyNetwork()
    expected = [network.extract(part, ("pooled", "logits")) for part in images.split(16)]
    for quantity in both:
        rows = torch.cat([part[quantity.layer] for part in expected]).numpy()
        assert np.array_equal(np.load(store.path(quantity, of)), rows)
    assert not list(tmp_path.rglob("*.lock"))


def test_only_layers_that_are_missing_are_taken(tiny, images, pooled, tmp_path):
    of = digest(images)
    ReferenceFeatures([pooled], tmp_path, CPU).take(images, of)
    tiny.TinyNetwork.passes.clear()
    ReferenceFeatures([pooled, features("tiny", "logits", "reference")], tmp_path, CPU).take(images, of)
    assert {layers for _, layers in tiny.TinyNetwork.passes} == {("logits",)}


def test_two_that_need_them_at_once_take_them_once(tiny, images, pooled, tmp_path):
    of = digest(images)
    threads = [
        threading.Thread(target=ReferenceFeatures([pooled], tmp_path, CPU).take, args=(images, of)) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(num for num, _ in tiny.TinyNetwork.passes) == 20


def test_statistics_belong_to_a_sequence_of_chunks(pooled, tmp_path):
    store = ReferenceFeatures([pooled], tmp_path, CPU)
    paths = {store.statistics_path(pooled, digests) for digests in (["a", "b"], ["b", "a"], ["a"])}
    assert len(paths) == 3


def test_key_changes_with_weights_and_device(tiny, tmp_path, monkeypatch):
    before = feature_key("tiny", CPU)
    assert feature_key("tiny", torch.device("cuda")) != before
    (tmp_path / "weights").write_text("other")
    monkeypatch.setattr(tiny.TinyNetwork, "weights_file", tmp_path / "weights")
    assert feature_key("tiny", CPU) != before


def test_features_are_sorted_by_network(tiny, pooled):
    from vtbench.evaluate.metrics.psnr import Psnr

    effnet = features("effnet_lite0")
    assert by_network([pooled, *Psnr().quantities(), effnet]) == {"tiny": [pooled], "effnet_lite0": [effnet]}
